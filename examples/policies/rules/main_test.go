package main

import (
	"reflect"
	"testing"

	"chainbuild/policy/sdk"
)

func TestDecide(t *testing.T) {
	taken = map[string]int{"Full": perPackage - 1}
	batch := &sdk.StatementBatch{Statements: []sdk.Statement{
		{Package: "Full", Count: 1},
		{Package: "Full", Count: 2},
		{Package: "A", Packages: []string{"A", "Test"}},
		{Package: "Main", Modules: []string{"Base", "Main.Shop"}},
		{Package: "Base", Modules: []string{"Base"}},
	}}
	want := []sdk.Answer{sdk.Drop("more than 5000 of Full"), sdk.Keep(), sdk.Drop("a package for tests"), sdk.Drop("of Main"), sdk.Keep()}
	if answers := decide(batch); !reflect.DeepEqual(answers, want) {
		t.Errorf("%+v", answers)
	}
}

func TestMayLeave(t *testing.T) {
	answers := mayLeave(&sdk.UploadBatch{Uploads: []sdk.Upload{
		{Packages: []string{"DataFrames"}, Names: []string{"sum"}},
		{Packages: []string{"SecretSauce"}},
		{Names: []string{"SecretSauce.mix"}},
	}})
	if answers[0] != sdk.Allow() || answers[1].Do != sdk.DoWithhold || answers[2].Do != sdk.DoWithhold {
		t.Errorf("%+v", answers)
	}
}
