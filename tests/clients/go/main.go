// Sends one fixed set of metrics with a Go client, for tests/e2e/test_clients.py.
//
//	sender CLIENT TRANSPORT ADDRESS MODE
//
// CLIENT     datadog or cactus
// TRANSPORT  udp, unixgram or unixstream
// ADDRESS    host:port, or the path of a socket
// MODE       how the client batches; see the functions below
//
// What is sent is spelled out beside what must come of it, in test_clients.py.
package main

import (
	"fmt"
	"os"
	"time"

	datadog "github.com/DataDog/datadog-go/v5/statsd"
	cactus "github.com/cactus/go-statsd-client/v5/statsd"
)

// must ends the program when a client refused to send.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newDatadog(transport, address, mode string) *datadog.Client {
	if transport != "udp" {
		address = transport + "://" + address
	}
	options := []datadog.Option{
		datadog.WithNamespace("go"),
		datadog.WithTags([]string{"env:test"}),
		datadog.WithoutTelemetry(),
		datadog.WithErrorHandler(func(err error) { must(err) }),
		datadog.WithWriteTimeout(5 * time.Second),
	}
	switch mode {
	case "plain":
		options = append(options, datadog.WithoutClientSideAggregation(), datadog.WithoutOriginDetection(),
			datadog.WithMaxMessagesPerPayload(1), datadog.WithSenderQueueSize(1000))
	case "buffered":
		options = append(options, datadog.WithoutClientSideAggregation(), datadog.WithoutOriginDetection())
	case "aggregated":
		options = append(options, datadog.WithoutOriginDetection())
	case "extended":
		options = append(options, datadog.WithExtendedClientSideAggregation(), datadog.WithoutOriginDetection())
	case "origin":
		options = append(options, datadog.WithoutClientSideAggregation(), datadog.WithWorkersCount(1),
			datadog.WithContainerID("ci-4f2a"), datadog.WithCardinality(datadog.CardinalityLow))
	default:
		must(fmt.Errorf("unknown mode %s", mode))
	}
	client, err := datadog.New(address, options...)
	must(err)
	return client
}

func sendDatadog(transport, address, mode string) {
	client := newDatadog(transport, address, mode)
	for i := 0; i < 3; i++ {
		must(client.Incr("requests", []string{"route:/home"}, 1))
	}
	must(client.Count("requests", 5, []string{"route:/cart"}, 1))
	must(client.Count("bytes", 1<<40, nil, 1))
	must(client.Count("refunds", -2, nil, 1))
	must(client.Gauge("temperature", 21.5, []string{"room:größe:1"}, 1))
	must(client.Gauge("temperature", 22.25, []string{"room:größe:1"}, 1))
	must(client.Gauge("offset", -7, nil, 1))
	must(client.Gauge("offset", -7, nil, 1))
	must(client.GaugeWithTimestamp("queue", 12, nil, 1, time.Unix(1700000000, 0)))
	must(client.CountWithTimestamp("jobs", 4, nil, 1, time.Unix(1700000000, 0)))
	must(client.Timing("query", 320*time.Millisecond, nil, 1))
	must(client.TimeInMilliseconds("query", 80, nil, 1))
	must(client.Histogram("payload", 512.5, nil, 1))
	must(client.Distribution("latency", 0.25, []string{"zone:a"}, 1))
	// This client draws its own lots: the test reads off how many of these were sent.
	for i := 0; i < 64; i++ {
		must(client.Incr("sampled", nil, 0.5))
		must(client.Histogram("sampled_payload", 2, nil, 0.5))
	}
	must(client.Set("users", "1001", nil, 1))
	must(client.Event(&datadog.Event{Title: "Deploy größe", Text: "first line\nsecond line", Tags: []string{"team:core"}}))
	must(client.ServiceCheck(&datadog.ServiceCheck{Name: "db.up", Status: datadog.Ok, Message: "all well"}))
	must(client.Flush())
	must(client.Close())
}

func sendCactus(transport, address, mode string) {
	config := &cactus.ClientConfig{
		Address:       address,
		Prefix:        "go",
		UseBuffered:   mode == "buffered",
		FlushInterval: 20 * time.Millisecond,
	}
	if mode == "infix" {
		config.TagFormat = cactus.InfixComma
	}
	statter, err := cactus.NewClientWithConfig(config)
	must(err)
	client := statter.(*cactus.Client)
	// Every sampled call is sent, so that results can be stated exactly.
	client.SetSamplerFunc(func(float32) bool { return true })

	must(client.Inc("requests", 3, 1, cactus.Tag{"route", "/home"}))
	must(client.Inc("requests", 5, 1, cactus.Tag{"route", "/cart"}, cactus.Tag{"env", "test"}))
	must(client.Dec("refunds", 2, 1))
	must(client.Gauge("depth", 10, 1))
	must(client.GaugeDelta("depth", 5, 1))
	must(client.GaugeDelta("depth", -3, 1))
	must(client.GaugeFloat("temperature", 21.5, 1))
	must(client.GaugeFloatDelta("temperature", -0.25, 1))
	must(client.Timing("query", 320, 1))
	must(client.TimingDuration("query", 80500*time.Microsecond, 1))
	for i := 0; i < 4; i++ {
		must(client.Inc("sampled", 1, 0.5))
	}
	must(client.Timing("sampled_query", 100, 0.25))
	must(client.Raw("raw", "0.5|h", 1))
	must(client.SetInt("users", 1001, 1))
	must(client.Close())
}

func main() {
	if len(os.Args) != 5 {
		must(fmt.Errorf("usage: sender CLIENT TRANSPORT ADDRESS MODE"))
	}
	send := map[string]func(string, string, string){"datadog": sendDatadog, "cactus": sendCactus}[os.Args[1]]
	if send == nil {
		must(fmt.Errorf("unknown client %s", os.Args[1]))
	}
	send(os.Args[2], os.Args[3], os.Args[4])
}
