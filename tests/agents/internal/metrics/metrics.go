// Package metrics sends counters, gauges and durations to a statsd bridge, with labels as DogStatsD tags or as parts of
// a plain name.
//
// A metric is declared once, with the names of its labels in the order of the catalogue, and used with their values in
// that order. Nothing here fails or waits when the bridge is away: what is sent then is lost.
package metrics

import (
	"fmt"
	"strings"
	"sync"
	"time"

	datadog "github.com/DataDog/datadog-go/v5/statsd"
	plain "github.com/cactus/go-statsd-client/v5/statsd"
)

// Client is the connection to a bridge.
type Client struct {
	wire wire
}

// wire is one of the two forms.
type wire interface {
	count(m *metric, values []string, n int64)
	gauge(m *metric, values []string, v float64)
	timing(m *metric, values []string, d time.Duration)
	close() error
}

// Dial connects over UDP. The form is "tags" or "plain".
func Dial(form, address string) (*Client, error) {
	switch form {
	case "tags":
		client, err := datadog.New(address, datadog.WithoutTelemetry(), datadog.WithoutOriginDetection())
		if err != nil {
			return nil, err
		}
		return &Client{tagged{client}}, nil
	case "plain":
		client, err := plain.NewClientWithConfig(&plain.ClientConfig{Address: address, UseBuffered: true})
		if err != nil {
			return nil, err
		}
		return &Client{dotted{client.(*plain.Client)}}, nil
	}
	return nil, fmt.Errorf("the form of lines is tags or plain, not %q", form)
}

// Close sends what is still waiting to be sent.
func (c *Client) Close() error {
	return c.wire.close()
}

type metric struct {
	client *Client
	name   string
	labels []string
}

func (c *Client) metric(name string, labels []string) metric {
	return metric{c, name, labels}
}

// check ends the program on a mistake in it: a metric used with other labels than it was declared with.
func (m *metric) check(values []string) {
	if len(values) != len(m.labels) {
		panic(fmt.Sprintf("%s has the labels %q, and got the values %q", m.name, m.labels, values))
	}
}

// Counter only grows.
type Counter struct {
	metric
}

// Counter declares one.
func (c *Client) Counter(name string, labels ...string) *Counter {
	return &Counter{c.metric(name, labels)}
}

// Add counts n more. Statsd clients for Go count in whole numbers; the bridge refuses negative ones.
func (c *Counter) Add(n int64, values ...string) {
	c.check(values)
	c.client.wire.count(&c.metric, values, n)
}

// Gauge goes up and down. The program keeps its value and always sends all of it, so that a lost packet does no harm.
// Values must not be negative: with a sign in front, statsd takes a value for a change.
type Gauge struct {
	metric
	mutex  sync.Mutex
	levels map[string]float64
}

// Gauge declares one.
func (c *Client) Gauge(name string, labels ...string) *Gauge {
	return &Gauge{metric: c.metric(name, labels), levels: map[string]float64{}}
}

// Set makes v its value.
func (g *Gauge) Set(v float64, values ...string) {
	g.change(func(float64) float64 { return v }, values)
}

// Add moves it up, or down when delta is negative.
func (g *Gauge) Add(delta float64, values ...string) {
	g.change(func(level float64) float64 { return level + delta }, values)
}

func (g *Gauge) change(next func(float64) float64, values []string) {
	g.check(values)
	key := strings.Join(values, "\n")
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.levels[key] = next(g.levels[key])
	g.client.wire.gauge(&g.metric, values, g.levels[key])
}

// Duration is a histogram or summary of times.
type Duration struct {
	metric
}

// Duration declares one.
func (c *Client) Duration(name string, labels ...string) *Duration {
	return &Duration{c.metric(name, labels)}
}

// Observe adds a time. It travels in milliseconds; the bridge makes seconds of it.
func (d *Duration) Observe(took time.Duration, values ...string) {
	d.check(values)
	d.client.wire.timing(&d.metric, values, took)
}

// tagged sends name:1|c|#label:value with the official client.
type tagged struct {
	client *datadog.Client
}

// What a tag's value cannot hold.
var tagEscapes = strings.NewReplacer(",", "_", "|", "_", "\n", "_")

func tags(m *metric, values []string) []string {
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = m.labels[i] + ":" + tagEscapes.Replace(value)
	}
	return out
}

func (w tagged) count(m *metric, values []string, n int64) {
	w.client.Count(m.name, n, tags(m, values), 1)
}

func (w tagged) gauge(m *metric, values []string, v float64) {
	w.client.Gauge(m.name, v, tags(m, values), 1)
}

func (w tagged) timing(m *metric, values []string, d time.Duration) {
	w.client.Timing(m.name, d, tags(m, values), 1)
}

func (w tagged) close() error {
	return w.client.Close()
}

// dotted sends name.value:1|c with a client that knows no tags.
type dotted struct {
	client *plain.Client
}

// What a part of a plain name cannot hold.
var partEscapes = strings.NewReplacer(".", "_", ":", "_", "|", "_", ",", "_", "#", "_", "[", "_", "]", "_", "\n", "_")

func plainName(m *metric, values []string) string {
	parts := []string{m.name}
	for _, value := range values {
		parts = append(parts, partEscapes.Replace(value))
	}
	return strings.Join(parts, ".")
}

func (w dotted) count(m *metric, values []string, n int64) {
	w.client.Inc(plainName(m, values), n, 1)
}

func (w dotted) gauge(m *metric, values []string, v float64) {
	w.client.GaugeFloat(plainName(m, values), v, 1)
}

func (w dotted) timing(m *metric, values []string, d time.Duration) {
	w.client.TimingDuration(plainName(m, values), d, 1)
}

func (w dotted) close() error {
	return w.client.Close()
}
