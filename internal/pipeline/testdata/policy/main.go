// Policy lets nothing leave that has to do with the package Shelf.
package main

import (
	"slices"

	"chainbuild/policy/sdk"
)

func mayLeave(batch *sdk.UploadBatch) []sdk.UploadAnswer {
	answers := make([]sdk.UploadAnswer, len(batch.Uploads))
	for i, upload := range batch.Uploads {
		if answers[i] = sdk.Allow(); slices.Contains(upload.Packages, "Shelf") {
			answers[i] = sdk.Withhold("of Shelf, as " + upload.Kind)
		}
	}
	return answers
}

func init() { sdk.Uploads(mayLeave) }

func main() {}
