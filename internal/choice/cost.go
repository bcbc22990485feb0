package choice

// This file estimates what statements cost, from the image of an earlier build.
//
// The machine code that a package has in the image beyond the base, with its debug information, is divided by the number of statements that count for
// the package. The heap is not counted: most of what is new in it is there if there is any statement at all. The time is the package's share of the
// image's new code, of the time that all of it takes to compile.

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"chainbuild/internal/anatomy"
	"chainbuild/julia"
	"chainbuild/objcache"
	"chainbuild/sysimage"
)

// An Earlier is what is known of an earlier build.
type Earlier struct {
	// Image is its image's file.
	Image string
	// Seconds is how long compiling all of its new code takes a processor; 0: not known.
	Seconds float64
	// Statements count the statements that could be used for it, by the packages that they name, see ModulesKey.
	Statements map[string]int
}

// ModulesKey is the packages that a statement names, as one text.
func ModulesKey(modules []string) string { return strings.Join(modules, " ") }

// A Cost is what a statement costs.
type Cost struct {
	Seconds float64
	Bytes   int64
}

// guess is what statements of the standard libraries cost on the average, with Julia 1.5 and 1.10.
var guess = Cost{Seconds: 0.02, Bytes: 10_000}

// Costs are what statements cost.
type Costs struct {
	// Guessed says that nothing is known, and that each costs the same.
	Guessed bool
	// packages have the cost of a statement that counts for them, mean is that of any.
	packages map[string]Cost
	ages     []string // of packages, the oldest first
	mean     Cost
}

// of is what a statement costs that names these packages.
func (c *Costs) of(modules []string) Cost {
	if c.Guessed {
		return guess
	}
	if cost, ok := c.packages[youngest(c.ages, modules)]; ok {
		return cost
	}
	return c.mean
}

// youngest is the youngest of some packages, Base if there is none of them, "" if one of them is not known.
func youngest(ages, names []string) string {
	best := "Base"
	for _, name := range names {
		at := slices.Index(ages, name)
		if at < 0 {
			return ""
		}
		if at > slices.Index(ages, best) {
			best = name
		}
	}
	return best
}

// A census is what packages take of an image.
type census struct {
	Ages     []string                 `json:"ages"`
	Packages map[string]anatomy.Sizes `json:"packages"`
}

// costs finds out what statements cost. That nothing is known of the earlier build, or its image cannot be read, is no error.
func (e *Earlier) costs(ctx context.Context, cache *objcache.Cache) (*Costs, error) {
	none := &Costs{Guessed: true}
	if e == nil {
		return none, nil
	}
	image, err := sysimage.OpenFile(e.Image)
	if err != nil || image.Note == nil || len(image.Note.Bases) == 0 {
		return none, ctx.Err()
	}
	defer image.Close()
	base, err := sysimage.OpenFile(image.Note.Bases[0].Path)
	if err != nil {
		return none, ctx.Err()
	}
	defer base.Close()
	if !base.Is(image.Note.Bases[0]) {
		return none, ctx.Err()
	}
	has, err := takeCensus(image, cache)
	if err != nil {
		return none, ctx.Err()
	}
	had, err := takeCensus(base, cache)
	if err != nil {
		return none, ctx.Err()
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return e.divide(has, had, len(image.Layers) == 1), nil
}

// takeCensus counts what packages take of an image, unless the cache has that.
func takeCensus(image *sysimage.Base, cache *objcache.Cache) (*census, error) {
	id, err := julia.LibraryID(image.Layers[0].Path)
	if err != nil {
		return nil, err
	}
	h := objcache.NewHash("census of an image")
	h.AddString("build", id)
	h.AddString("kinds", strings.Join(anatomy.KindNames[:], " "))
	c := &census{}
	text, err := cache.Get(h.Key())
	if err == nil && json.Unmarshal(text, c) == nil {
		return c, nil
	}
	of, err := anatomy.Read(image)
	if err != nil {
		return nil, err
	}
	*c = census{Ages: of.Ages, Packages: map[string]anatomy.Sizes{}}
	for _, p := range of.Packages {
		sum := c.Packages[p.Name]
		for kind, n := range p.Sizes {
			sum[kind] += n
		}
		c.Packages[p.Name] = sum
	}
	if text, err = json.Marshal(c); err != nil {
		return nil, err
	}
	cache.Put(h.Key(), text)
	return c, nil
}

// divide shares what the image has beyond the base among statements. Copied says that the image has a copy of the base's code.
func (e *Earlier) divide(has, had *census, copied bool) *Costs {
	count := map[string]int{}
	all := 0
	for key, n := range e.Statements {
		count[youngest(has.Ages, strings.Fields(key))] += n
		all += n
	}
	c := &Costs{ages: has.Ages, packages: map[string]Cost{}}
	code := map[string]int64{}
	var allCode, allBytes int64
	for name, size := range has.Packages {
		if !slices.Contains(has.Ages, name) {
			continue // a group of what counts for no package
		}
		if was := had.Packages[name]; copied {
			size[anatomy.Code] -= was[anatomy.Code]
			size[anatomy.Debug] -= was[anatomy.Debug]
		}
		code[name] = max(size[anatomy.Code], 0)
		bytes := code[name] + max(size[anatomy.Debug], 0)
		allCode += code[name]
		allBytes += bytes
		if n := count[name]; n > 0 {
			c.packages[name] = Cost{Bytes: bytes / int64(n)}
		}
	}
	if all == 0 || allCode == 0 {
		return &Costs{Guessed: true}
	}
	perByte := e.Seconds / float64(allCode)
	for name, cost := range c.packages {
		cost.Seconds = perByte * float64(code[name]) / float64(count[name])
		if e.Seconds == 0 {
			cost.Seconds = guess.Seconds
		}
		c.packages[name] = cost
	}
	c.mean = Cost{Seconds: e.Seconds / float64(all), Bytes: allBytes / int64(all)}
	if e.Seconds == 0 {
		c.mean.Seconds = guess.Seconds
	}
	return c
}
