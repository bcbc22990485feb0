package project

// This file makes the key of a project's image: all that decides whether an image can be used.
//
// It is content and never time: what of the manifest is in the image, the packages' preferences, the Julia, the base
// image, the settings. What was recorded is no part of it: an image stays right when more is known, and only gets
// slower than it need be. The inputs are kept beside the image, so that status can say what has changed.

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"chainbuild/elfpatch"
	"chainbuild/internal/folders"
	"chainbuild/internal/settings"
	"chainbuild/objcache"
)

// Names of a key's inputs. The rest of those that end with a blank is a package's name.
const (
	inputJulia         = "julia"
	inputBase          = "base image"
	inputProcessor     = "processor"
	inputCPUTarget     = "cpu target"
	inputLayout        = "layout"
	inputOptimize      = "optimisation level"
	inputEmit          = "emit"
	inputPackageImages = "code of package images" // and not `package …`, which is inputPackage's
	inputInteractive   = "for interactive sessions"
	inputPolicies      = "policies"
	inputBudget        = "budget"
	inputPackage       = "package "
	inputPreferences   = "preferences of "
)

// makeKey fills key and inputs.
func (p *Project) makeKey() error {
	h := objcache.NewHash("project image")
	h.AddString(inputJulia, p.Julia.Version+", "+p.juliaBuild)
	base, err := digest(p.root, p.Julia.Image)
	if err != nil {
		return fmt.Errorf("the base image %s cannot be read: %w", p.Julia.Image, err)
	}
	s := &p.Settings
	if s.Layout == elfpatch.Thin {
		base += " at " + p.Julia.Image // which it needs by this name
	}
	h.AddString(inputBase, base)
	h.AddString(inputLayout, s.Layout.String())
	h.AddString(inputCPUTarget, string(s.CPU))
	if s.CPU.DependsOnMachine() {
		h.AddString(inputProcessor, p.Julia.CPUName)
	}
	h.AddString(inputOptimize, fmt.Sprint(s.OptLevel))
	h.AddString(inputEmit, string(s.Emit))
	if s.PackageImages != settings.PackageImagesAuto {
		h.AddString(inputPackageImages, string(s.PackageImages))
	}
	if len(p.Content.Interactive) > 0 {
		h.AddString(inputInteractive, strings.Join(p.Content.Interactive, ", "))
	}
	if len(s.Policies) > 0 {
		policies, err := policyDigests(p.root, s.Policies)
		if err != nil {
			return err
		}
		h.AddString(inputPolicies, policies)
	}
	if !s.Budget.IsNone() {
		h.AddString(inputBudget, s.Budget.String())
	}
	for _, pkg := range p.Content.Packages {
		content := strings.Join([]string{pkg.UUID, pkg.Version, pkg.Tree}, " ")
		if pkg.Path != "" {
			source, err := sourceDigest(pkg.Path)
			if err != nil {
				return fmt.Errorf("the source of %s, which is to be in the image, cannot be read: %w", pkg.Name, err)
			}
			content += " " + source
		}
		h.AddString(inputPackage+pkg.Name, content)
		if preferences := p.preferencesOf(pkg.Name); preferences != nil {
			h.Add(inputPreferences+pkg.Name, preferences)
		}
	}
	p.Key, p.inputs = h.Key(), h.Inputs()
	return nil
}

// preferencesOf returns what the project's files set for a package, which it may look at when it is compiled; nil for
// nothing.
func (p *Project) preferencesOf(name string) []byte {
	local, global := p.preferences[name], p.environment.preferences[name]
	if local == nil && global == nil {
		return nil
	}
	text, err := json.Marshal([]any{local, global}) // with sorted names
	if err != nil {
		return fmt.Append(nil, local, global) // infinities, which JSON has no words for
	}
	return text
}

// sourceDigest hashes the source of a package under development: its project file and all below src, links followed.
func sourceDigest(dir string) (string, error) {
	hash := sha256.New()
	add := func(path string) error {
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		fmt.Fprintf(hash, "%q %x\n", name, sha256.Sum256(content))
		return nil
	}
	if name := firstFile(dir, projectNames); name != "" {
		if err := add(name); err != nil {
			return "", err
		}
	}
	// In lexical order.
	err := folders.Walk(filepath.Join(dir, "src"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return add(path)
	})
	return fmt.Sprintf("source %x", hash.Sum(nil)[:16]), err
}

// differences says in phrases why an image is not valid, most telling first.
func differences(im *Image, now *Project) []string {
	before := map[string]Package{}
	for _, pkg := range im.Packages {
		before[pkg.Name] = pkg
	}
	after := map[string]Package{}
	for _, pkg := range now.Content.Packages {
		after[pkg.Name] = pkg
	}
	changes := objcache.Changes(im.Inputs, now.inputs)
	slices.SortStableFunc(changes, func(a, b objcache.Change) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
	var phrases []string
	for _, change := range changes {
		name, isPackage := strings.CutPrefix(change.Name, inputPackage)
		preferring, isPreference := strings.CutPrefix(change.Name, inputPreferences)
		switch {
		case isPackage && change.Before == nil:
			phrases = append(phrases, strings.TrimSpace(name+" "+after[name].Version)+" is new")
		case isPackage && change.After == nil:
			phrases = append(phrases, name+" is not wanted any more")
		case isPackage && before[name].Version != after[name].Version:
			phrases = append(phrases, fmt.Sprintf("%s %s → %s", name, versionText(before[name]), versionText(after[name])))
		case isPackage:
			phrases = append(phrases, name+" has another source")
		case isPreference:
			phrases = append(phrases, change.Name[:len(inputPreferences)]+preferring+" have changed")
		case change.Name == inputBase:
			phrases = append(phrases, "the base image is another")
		case change.Name == inputPolicies, change.Name == inputBudget, change.Name == inputInteractive, change.Name == inputPackageImages:
			phrases = append(phrases, fmt.Sprintf("%s %s → %s", change.Name, inputText(change.Before), inputText(change.After)))
		case change.Before != nil && change.After != nil:
			phrases = append(phrases, fmt.Sprintf("%s %s → %s", change.Name, change.Before.Text, change.After.Text))
		}
		// An input that comes or goes with another, as the processor with the target native, needs no words.
	}
	if len(phrases) == 0 && im.Key != now.Key {
		phrases = append(phrases, "it was built by another version of chainbuild")
	}
	return phrases
}

// inputText is the text of an input, or none for one that is not there.
func inputText(input *objcache.Input) string {
	if input == nil {
		return "none"
	}
	return input.Text
}

// policyDigests are the names of policies, and the beginning of the SHA-256 of each.
func policyDigests(root string, files []string) (string, error) {
	var all []string
	for _, file := range files {
		sum, err := digest(root, file)
		if err != nil {
			return "", fmt.Errorf("the policy %s cannot be read (%w): put it there, or take it out of the settings", file, cmp.Or(errors.Unwrap(err), err))
		}
		sum = sum[strings.LastIndexByte(sum, ' ')+1:] // behind what kind it is
		all = append(all, filepath.Base(file)+" "+sum[:min(len(sum), 16)])
	}
	return strings.Join(all, ", "), nil
}

func rank(input string) int {
	if strings.HasPrefix(input, inputPackage) {
		return 0
	}
	return 1
}

func versionText(pkg Package) string {
	if pkg.Version == "" {
		return "(no version)"
	}
	return pkg.Version
}
