// Sbom prints a bill of materials of a Go program, in the form of CycloneDX: which modules it is made of, as the program itself
// says. It has no date and no serial number, so that it is the same for the same program.
//
//	go run ./sbom PROGRAM VERSION
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "sbom: say a program and its version")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// write prints the bill of the program at path.
func write(path, version string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(content)
	program := cyclonedx.Component{
		BOMRef: "program", Type: cyclonedx.ComponentTypeApplication, Name: filepath.Base(path), Version: version,
		Hashes: &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(hash[:])}},
	}
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" || s.Key == "CGO_ENABLED" {
			program.Properties = appended(program.Properties, cyclonedx.Property{Name: s.Key, Value: s.Value})
		}
	}
	components := []cyclonedx.Component{library("std", info.GoVersion[len("go"):], "")}
	for _, module := range info.Deps {
		components = append(components, moduleComponent(module))
	}
	var needed []string
	for _, c := range components {
		needed = append(needed, c.BOMRef)
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &program}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: program.BOMRef, Dependencies: &needed}}
	return cyclonedx.NewBOMEncoder(os.Stdout, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
}

func moduleComponent(m *debug.Module) cyclonedx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	return library(m.Path, m.Version, m.Sum)
}

// library describes a module; its sum is what go.sum has for it, "" for the standard library.
func library(path, version, sum string) cyclonedx.Component {
	purl := fmt.Sprintf("pkg:golang/%s@%s", path, version)
	c := cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: purl}
	if sum != "" {
		c.Properties = appended(nil, cyclonedx.Property{Name: "go.sum", Value: sum})
	}
	return c
}

func appended(list *[]cyclonedx.Property, p cyclonedx.Property) *[]cyclonedx.Property {
	if list == nil {
		return &[]cyclonedx.Property{p}
	}
	*list = append(*list, p)
	return list
}
