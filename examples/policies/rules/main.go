// Rules is a policy that keeps an organisation's rules:
//
//   - nothing of packages for tests, and nothing of Main;
//   - of each package no more statements than a limit, those that were seen in the most sessions;
//   - nothing of a package whose name begins with Secret leaves for the shared cache.
package main

import (
	"fmt"
	"slices"
	"strings"

	"chainbuild/policy/sdk"
)

// testPackages are packages that only tests use.
var testPackages = []string{"Test", "TestSetExtensions", "ReferenceTests", "SafeTestsets", "TestItems", "Aqua", "JET"}

// perPackage is how many statements of a package are taken.
const perPackage = 5000

// secret is what the names of packages begin with that nobody else may see.
const secret = "Secret"

// taken counts the statements of each package.
var taken = map[string]int{}

func decide(batch *sdk.StatementBatch) []sdk.Answer {
	answers := make([]sdk.Answer, len(batch.Statements))
	// Those of a batch that were seen most come first.
	order := make([]int, len(batch.Statements))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return batch.Statements[b].Count - batch.Statements[a].Count })
	for _, i := range order {
		answers[i] = decideOne(&batch.Statements[i])
	}
	return answers
}

func decideOne(s *sdk.Statement) sdk.Answer {
	for _, name := range s.Packages {
		if slices.Contains(testPackages, name) {
			return sdk.Drop("a package for tests")
		}
	}
	for _, module := range s.Modules {
		if module == "Main" || strings.HasPrefix(module, "Main.") {
			return sdk.Drop("of Main")
		}
	}
	if taken[s.Package] >= perPackage {
		return sdk.Drop(fmt.Sprintf("more than %d of %s", perPackage, s.Package))
	}
	taken[s.Package]++
	return sdk.Keep()
}

func mayLeave(batch *sdk.UploadBatch) []sdk.UploadAnswer {
	answers := make([]sdk.UploadAnswer, len(batch.Uploads))
	for i, upload := range batch.Uploads {
		answers[i] = sdk.Allow()
		for _, name := range slices.Concat(upload.Packages, upload.Names) {
			if strings.HasPrefix(name, secret) {
				answers[i] = sdk.Withhold("it names a package that nobody else may see")
			}
		}
	}
	return answers
}

func init() {
	sdk.Statements(decide)
	sdk.Uploads(mayLeave)
}

func main() {}
