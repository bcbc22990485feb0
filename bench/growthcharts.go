package bench

// This file shows how builds grow: the table and charts of generated packages, and of what the model predicts.

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"chainbuild/internal/words"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Of predictions for other machines: a network of a gigabit a second, and what it takes until workers there compile.
const (
	gigabit     = 117e6 // bytes a second
	remoteSetup = 1.0   // seconds
)

// grown returns the generated packages' workloads.
func (r *Results) grown() []WorkloadInfo {
	var all []WorkloadInfo
	for _, w := range r.Workloads {
		if w.Size > 0 {
			all = append(all, w)
		}
	}
	return all
}

// growthTables are the measured builds beside the model's, and the model.
func (r *Results) growthTables() []sheet {
	t := sheet{Title: "Builds of generated packages", Header: []string{
		"package", "new functions", "partitions", "cold", "model", "warm", "one function more", "compile work", "processor time, cold", "memory", "image"}}
	model, err := fitModel(r)
	for _, w := range r.grown() {
		cell := r.cells(w.Name)
		predicted := none
		if err == nil {
			predicted = formatSeconds(model.secondsHere(cell.summary(Cold, Functions).Median, w.Jobs, r.Header.Machine.Cores))
		}
		t.Rows = append(t.Rows, sheetRow{Cells: []string{
			w.Name, cell.count(Cold, Functions), cell.count(Cold, Partitions), cell.spread(Cold, Seconds), predicted, cell.spread(Warm, Seconds), cell.spread(Change, Seconds),
			cell.seconds(Cold, Compiling), cell.seconds(Cold, CPU), cell.bytes(Cold, Peak), cell.bytes(Cold, Bytes)}})
	}
	tables := []sheet{t}
	if err == nil {
		tables = append(tables, model.table(), model.predictions(r.Header.Machine.Cores))
	}
	return tables
}

// table lists the model's lines.
func (m *model) table() sheet {
	t := sheet{Title: "The model: seconds of one processor", Header: []string{"part of a build", "fixed", "for 1,000 new functions"}}
	for _, part := range []struct {
		name string
		line linear
	}{
		{"before: " + strings.Join(beforeStages, ", "), m.Before}, {"beside compiling: " + strings.Join(besideStages, ", "), m.Beside},
		{"compile work", m.Compiling}, {"after: " + strings.Join(afterStages, ", "), m.After},
	} {
		t.Rows = append(t.Rows, sheetRow{Cells: []string{part.name, formatSeconds(part.line.At0), formatSeconds(1000 * part.line.PerFunction)}})
	}
	return t
}

// predictedSizes are numbers of new functions.
var predictedSizes = []float64{100, 1000, 3000, 10000, 20000, 50000}

// paysLimit is the largest number of new functions that is asked whether a second machine would pay.
const paysLimit = 1e6

// predictedCores are numbers of cores of one machine.
var predictedCores = []int{1, 2, 4, 8, 16}

// predictions are the model's builds on other machines. Those with more functions than were measured are marked.
func (m *model) predictions(cores int) sheet {
	t := sheet{Title: "Predicted cold builds", Header: []string{"new functions"}}
	for _, c := range predictedCores {
		t.Header = append(t.Header, fmt.Sprintf("%d cores", c))
	}
	t.Header[1] = "1 core"
	t.Header = append(t.Header, fmt.Sprintf("2 machines of %d cores", cores), "no worker gets below")
	for _, n := range predictedSizes {
		name := words.Thousands(int(n))
		if n > 1.5*m.Most {
			name += ", beyond what was measured"
		}
		cells := []string{name}
		for _, c := range predictedCores {
			cells = append(cells, formatSeconds(m.secondsHere(n, c, c)))
		}
		cells = append(cells, formatSeconds(m.secondsWith(n, cores, cores, cores, gigabit, remoteSetup)), formatSeconds(m.floor(n)))
		t.Rows = append(t.Rows, sheetRow{Cells: cells})
	}
	pays := "never saves a tenth of a cold build, up to " + words.Thousands(int(paysLimit)) + " new functions"
	if from := m.paysFrom(cores, gigabit, remoteSetup, paysLimit); from > 0 {
		pays = "saves a tenth of a cold build from " + words.Thousands(int(from)) + " new functions on"
	}
	t.Rows = append(t.Rows, sheetRow{Cells: []string{"a second machine"}, Note: pays})
	return t
}

// growthCharts draw measured builds, by the number of new functions, with the model's lines.
func (r *Results) growthCharts() []*chart {
	if len(r.grown()) == 0 {
		return nil
	}
	charts := []*chart{
		r.growthChart("growth-time", "Cold and warm builds", "seconds", 1, Seconds),
		r.growthChart("growth-memory", "Memory of the largest process", "MB", 1e-6, Peak),
		r.growthChart("growth-size", "Size of the image", "MB", 1e-6, Bytes),
	}
	if c := r.changeChart(); c != nil {
		charts = append(charts, c)
	}
	if model, err := fitModel(r); err == nil {
		charts = append(charts, model.coresChart())
	}
	return charts
}

// changeChart draws the time of a build of one more function, by the number of functions of the image that it is built on: as a whole, and what the stages
// take up to the end of each part of a build.
func (r *Results) changeChart() *chart {
	c := newChart("change-time", "A build of one function more", 7)
	series := make([]plotter.XYs, 3)
	for _, w := range r.grown() {
		whole := r.values(w.Name, Change+"/"+Seconds)
		if whole == nil {
			continue
		}
		n := median(r.values(w.Name, Cold+"/"+Functions))
		sum := func(stages ...string) (sum float64) {
			for _, stage := range stages {
				sum += median(r.values(w.Name, Change+"/"+Stage+stage))
			}
			return sum
		}
		start := sum("inspect", "prepare", "start", "load")
		for i, y := range []float64{median(whole), median(whole) - sum("verify"), start} {
			series[i] = append(series[i], plotter.XY{X: n, Y: y})
		}
	}
	if len(series[0]) == 0 {
		return nil
	}
	for i, name := range []string{"until the image was checked", "until it was linked", "until a process has the image below"} {
		slices.SortFunc(series[i], func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
		line, points, err := plotter.NewLinePoints(series[i])
		if err != nil {
			return nil // a value is no number
		}
		line.Color, line.Width = seriesColors[i], vg.Points(1)
		points.GlyphStyle = draw.GlyphStyle{Color: seriesColors[i], Radius: 2.5, Shape: draw.CircleGlyph{}}
		c.plot.Add(line, points)
		c.plot.Legend.Add(name, line, points)
	}
	c.plot.Legend.Left, c.plot.Legend.Top = true, true
	c.plot.X.Label.Text, c.plot.Y.Label.Text = "new functions of the image below", "seconds"
	c.plot.X.Min, c.plot.Y.Min = 0, 0
	return c
}

// growthChart draws a metric of builds: a series for each number of workers, cold, and one warm.
func (r *Results) growthChart(name, title, unit string, scale float64, what string) *chart {
	c := newChart(name, title, 7)
	most := 0.0
	series := map[string]plotter.XYs{}
	var order []string
	for _, w := range r.grown() {
		for _, subject := range []string{Cold, Warm} {
			values := r.values(w.Name, subject+"/"+what)
			if values == nil {
				continue
			}
			key := fmt.Sprintf("%s, -j%d", subject, w.Jobs)
			if subject == Warm {
				key = Warm
			}
			if series[key] == nil {
				order = append(order, key)
			}
			n := median(r.values(w.Name, subject+"/"+Functions))
			most = math.Max(most, n)
			series[key] = append(series[key], plotter.XY{X: n, Y: scale * median(values)})
		}
	}
	for i, key := range order {
		points, err := plotter.NewScatter(series[key])
		if err != nil {
			continue // a value is no number
		}
		points.GlyphStyle = draw.GlyphStyle{Color: seriesColors[i%len(seriesColors)], Radius: 2.5, Shape: draw.CircleGlyph{}}
		c.plot.Add(points)
		c.plot.Legend.Add(key, points)
	}
	if model, err := fitModel(r); err == nil && what == Seconds {
		for i, key := range order {
			var jobs int
			if _, err := fmt.Sscanf(key, Cold+", -j%d", &jobs); err != nil {
				continue
			}
			line := modelLine(seriesColors[i%len(seriesColors)], func(n float64) float64 { return model.secondsHere(n, jobs, r.Header.Machine.Cores) })
			c.plot.Add(line)
			c.plot.Legend.Add("model, "+strings.TrimPrefix(key, Cold+", "), line)
		}
	}
	c.plot.Legend.Left = true
	c.plot.X.Label.Text, c.plot.Y.Label.Text = "new functions", unit
	c.plot.X.Min, c.plot.Y.Min, c.plot.X.Max = 0, 0, 1.05*most
	return c
}

var seriesColors = []color.Color{orange, blue, green, red, pink, sky}

func modelLine(c color.Color, f func(float64) float64) *plotter.Function {
	line := plotter.NewFunction(f)
	line.LineStyle = draw.LineStyle{Color: c, Width: vg.Points(1)}
	return line
}

// coresChart draws predictions: the time of a build by the number of new functions, for machines of several sizes.
func (m *model) coresChart() *chart {
	c := newChart("predicted", "Predicted cold builds, by processors", 7)
	most := predictedSizes[len(predictedSizes)-2]
	for i, cores := range predictedCores {
		line := modelLine(seriesColors[i], func(n float64) float64 { return m.secondsHere(n, cores, cores) })
		c.plot.Add(line)
		name := fmt.Sprintf("%d cores", cores)
		if cores == 1 {
			name = "1 core"
		}
		c.plot.Legend.Add(name, line)
	}
	floor := modelLine(grey, m.floor)
	floor.Dashes = []vg.Length{vg.Points(3), vg.Points(2)}
	c.plot.Add(floor)
	c.plot.Legend.Add("no number of workers gets below", floor)
	c.plot.Legend.Left = true
	c.plot.X.Label.Text, c.plot.Y.Label.Text = "new functions", "seconds"
	c.plot.X.Min, c.plot.X.Max, c.plot.Y.Min, c.plot.Y.Max = 0, most, 0, 1.05*m.secondsHere(most, 1, 1)
	return c
}
