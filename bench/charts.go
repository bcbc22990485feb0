package bench

// This file draws results: before and after, builds by stage. growthcharts.go draws how they grow.
//
// A chart is drawn twice, as SVG, for pages, and as PNG.

import (
	"bytes"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A chart is a drawing. Name is that of its files, without what says the format.
type chart struct {
	Name, Title   string
	width, height vg.Length
	plot          *plot.Plot
}

// The colours of charts can be told apart by those who see no red or green (Okabe and Ito).
var (
	orange = color.NRGBA{0xE6, 0x9F, 0x00, 0xFF}
	sky    = color.NRGBA{0x56, 0xB4, 0xE9, 0xFF}
	green  = color.NRGBA{0x00, 0x9E, 0x73, 0xFF}
	yellow = color.NRGBA{0xF0, 0xE4, 0x42, 0xFF}
	blue   = color.NRGBA{0x00, 0x72, 0xB2, 0xFF}
	red    = color.NRGBA{0xD5, 0x5E, 0x00, 0xFF}
	pink   = color.NRGBA{0xCC, 0x79, 0xA7, 0xFF}
	grey   = color.NRGBA{0x99, 0x99, 0x99, 0xFF}
)

const chartWidth = 20 * vg.Centimeter

// legendSpace stands between a text and its colour: a browser's font may be wider than the one that the text was measured with.
const legendSpace = "      "

func newChart(name, title string, rows float64) *chart {
	c := &chart{Name: name, Title: title, width: chartWidth, height: vg.Length(rows)*vg.Centimeter + 2.5*vg.Centimeter, plot: plot.New()}
	c.plot.Title.Text = title
	c.plot.Title.Padding = 4 * vg.Millimeter
	c.plot.Legend.Top = true
	c.plot.BackgroundColor = color.White
	for _, style := range []*text.Style{
		&c.plot.Title.TextStyle, &c.plot.Legend.TextStyle, &c.plot.X.Label.TextStyle, &c.plot.Y.Label.TextStyle, &c.plot.X.Tick.Label, &c.plot.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
		style.Font.Size = 9
	}
	c.plot.Title.TextStyle.Font.Size = 11
	c.plot.Legend.Padding = vg.Millimeter
	c.plot.X.Tick.Marker, c.plot.Y.Tick.Marker = plot.TickerFunc(roundTicks), plot.TickerFunc(roundTicks)
	return c
}

// svg returns the chart as an element of a page, and png as a file of that format.
func (c *chart) svg() (string, error) {
	canvas := vgsvg.New(c.width, c.height)
	c.draw(canvas)
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", err
	}
	// Fonts of the same widths, where there is no such font.
	svg := strings.ReplaceAll(out.String(), "font-family:Liberation Sans", "font-family:Liberation Sans,Arimo,Arial,Helvetica,sans-serif")
	return svg[strings.Index(svg, "<svg"):], nil
}

// png: see svg.
func (c *chart) png() ([]byte, error) {
	canvas := vgimg.NewWith(vgimg.UseWH(c.width, c.height), vgimg.UseDPI(150))
	c.draw(canvas)
	var out bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: canvas}.WriteTo(&out)
	return out.Bytes(), err
}

// roundTicks are 4 to 10 numbers that people like to read.
func roundTicks(least, most float64) []plot.Tick {
	step := math.Pow(10, math.Floor(math.Log10((most-least)/4)))
	for _, factor := range []float64{5, 2} {
		if (most-least)/(step*factor) >= 4 {
			step *= factor
			break
		}
	}
	var ticks []plot.Tick
	for i := math.Ceil(least / step); i*step <= most; i++ {
		label := strconv.FormatFloat(i*step, 'f', max(0, int(-math.Floor(math.Log10(step)))), 64)
		ticks = append(ticks, plot.Tick{Value: i * step, Label: label})
	}
	return ticks
}

// draw leaves a margin.
func (c *chart) draw(canvas vg.CanvasSizer) {
	const margin = 3 * vg.Millimeter
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	c.plot.Draw(draw.Crop(whole, margin, -margin, margin, -margin))
}

// write writes the chart's files into the folder.
func (c *chart) write(dir string) error {
	svg, err := c.svg()
	if err != nil {
		return err
	}
	png, err := c.png()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, c.Name+".svg"), []byte(svg+"\n"), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, c.Name+".png"), png, 0o644)
}

// charts draws what there are samples for.
func (r *Results) charts() []*chart {
	var charts []*chart
	for _, c := range []*chart{r.firstUseChart(), r.stageChart()} {
		if c != nil {
			charts = append(charts, c)
		}
	}
	return append(charts, r.growthCharts()...)
}

// A span is a piece of a horizontal bar, from one value to another.
type span struct {
	from, to float64
	row      float64 // the middle, in rows from the bottom
	color    color.Color
}

// spans draws horizontal bars, half as thick as rows are apart divided by lanes, with texts to the right of them.
type spans struct {
	all   []span
	lanes int
	texts []spanText
	style text.Style
}

type spanText struct {
	at, row float64
	text    string
}

func (s *spans) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	half := (y(1) - y(0)) * 0.4 / vg.Length(s.lanes)
	for _, b := range s.all {
		from, to, middle := x(math.Max(b.from, p.X.Min)), x(b.to), y(b.row)
		c.FillPolygon(b.color, []vg.Point{{X: from, Y: middle - half}, {X: to, Y: middle - half}, {X: to, Y: middle + half}, {X: from, Y: middle + half}})
	}
	for _, t := range s.texts {
		c.FillText(s.style, vg.Point{X: x(t.at) + vg.Millimeter, Y: y(t.row)}, t.text)
	}
}

// DataRange leaves room for texts.
func (s *spans) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, xmax, ymin, ymax = math.Inf(1), math.Inf(-1), -0.5, 0.5
	for _, b := range s.all {
		xmin, xmax = math.Min(xmin, b.from), math.Max(xmax, b.to)
		ymax = math.Max(ymax, math.Round(b.row)+0.5)
	}
	return xmin, xmax, ymin, ymax
}

// thumbnail is a colour in a legend.
type thumbnail struct{ color.Color }

func (t thumbnail) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(t.Color, []vg.Point{c.Min, {X: c.Min.X, Y: c.Max.Y}, c.Max, {X: c.Max.X, Y: c.Min.Y}})
}

// rowNames puts names beside the rows, the first on top.
func rowNames(p *plot.Plot, names []string) {
	ticks := make(plot.ConstantTicks, len(names))
	for i, name := range names {
		ticks[i] = plot.Tick{Value: float64(len(names) - 1 - i), Label: name}
	}
	p.Y.Tick.Marker = ticks
	p.Y.Tick.Length = 0
	p.Y.LineStyle.Width = 0
}

func smallText(p *plot.Plot) text.Style {
	style := p.X.Tick.Label
	style.XAlign, style.YAlign = text.XLeft, text.YCenter
	style.Font.Size = 8
	return style
}

// firstUseChart draws the time to first execute before and after, nil if there is none.
func (r *Results) firstUseChart() *chart {
	subjects := []struct {
		subject, name string
		color         color.Color
	}{{Base, "Julia's own image", orange}, {Stock, "stock-built image", grey}, {Chained, "chained image", blue}}
	var names []string
	for _, w := range r.Workloads {
		if r.values(w.Name, Chained+"/"+First) != nil {
			names = append(names, w.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	c := newChart("first-use", "Time to first execute: load the packages and do the first work", 1.1*float64(len(names)))
	bars := &spans{lanes: len(subjects), style: smallText(c.plot)}
	least, most := math.Inf(1), 0.0
	for lane, s := range subjects {
		shown := false
		for i, name := range names {
			values := r.values(name, s.subject+"/"+First)
			if values == nil {
				continue
			}
			shown = true
			m := math.Max(median(values), 1e-4)
			row := float64(len(names)-1-i) + 0.27*(1-float64(lane))
			bars.all = append(bars.all, span{to: m, row: row, color: s.color})
			bars.texts = append(bars.texts, spanText{m, row, formatSeconds(m)})
			least, most = math.Min(least, m), math.Max(most, m)
		}
		if shown {
			c.plot.Legend.Add(s.name+legendSpace, thumbnail{s.color})
		}
	}
	c.plot.Add(bars)
	c.plot.X.Label.Text = "seconds, on a logarithmic scale"
	c.plot.X.Scale, c.plot.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	c.plot.X.Min, c.plot.X.Max = math.Pow(10, math.Floor(math.Log10(least*0.7))), most*8
	rowNames(c.plot, names)
	return c
}

// stageGroups are the stages of a build in their order, put together so that a chart can tell them apart. What is left of the time is spent
// waiting for compile workers, and on the start of processes.
var stageGroups = []struct {
	name   string
	stages []string
	color  color.Color
}{
	{"start: inspect, prepare, boot", []string{"inspect", "prepare", "start"}, grey},
	{"load packages", []string{"load"}, yellow},
	{"infer, collect", []string{"infer", "collect"}, orange},
	{"emit, split", []string{"emit", "split"}, red},
	{"heap: serialise, write, chain", []string{"heap", "write", "chain"}, sky},
	{waitGroup, nil, pink},
	{"link, verify", []string{"link", "verify"}, green},
}

const waitGroup = "wait for compile workers"

// stageSeconds returns the medians of the groups' seconds in a build; the sum is the build's time.
func (r *Results) stageSeconds(workload, subject string) []float64 {
	seconds := make([]float64, len(stageGroups))
	left := median(r.values(workload, subject+"/"+Seconds))
	wait := 0
	for i, g := range stageGroups {
		if g.name == waitGroup {
			wait = i
		}
		for _, stage := range g.stages {
			s := median(r.values(workload, subject+"/"+Stage+stage))
			seconds[i] += s
			left -= s
		}
	}
	seconds[wait] = math.Max(left, 0)
	return seconds
}

// stageChart draws what builds spend their time with, nil if there are none.
func (r *Results) stageChart() *chart {
	var names []string
	var rows [][]float64
	for _, w := range r.Workloads {
		if w.Size > 0 && w.Jobs != r.Header.Jobs {
			continue
		}
		for _, subject := range []string{Cold, Warm} {
			if r.values(w.Name, subject+"/"+Seconds) != nil {
				names = append(names, w.Name+", "+subject)
				rows = append(rows, r.stageSeconds(w.Name, subject))
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	c := newChart("stages", "Builds by stage", 0.6*float64(len(rows))+1)
	bars := &spans{lanes: 1, style: smallText(c.plot)}
	most := 0.0
	for i, seconds := range rows {
		row, at := float64(len(rows)-1-i), 0.0
		for g, s := range seconds {
			bars.all = append(bars.all, span{from: at, to: at + s, row: row, color: stageGroups[g].color})
			at += s
		}
		bars.texts = append(bars.texts, spanText{at, row, formatSeconds(at)})
		most = math.Max(most, at)
	}
	for _, g := range stageGroups {
		c.plot.Legend.Add(g.name+legendSpace, thumbnail{g.color})
	}
	c.plot.Add(bars)
	c.plot.X.Label.Text = "seconds"
	c.plot.X.Min, c.plot.X.Max = 0, most*1.5
	rowNames(c.plot, names)
	return c
}
