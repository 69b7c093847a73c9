// Package command is what the example programs in Go have in common on the command line.
package command

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

type options struct {
	form, address string
	loop          bool
	every         float64
}

func parse() options {
	o := options{address: "127.0.0.1:9125", every: 1}
	flag.StringVar(&o.form, "form", "tags", "how labels are sent: tags or plain")
	flag.Func("address", "where the bridge takes lines, over UDP (127.0.0.1:9125)", func(text string) error {
		host, port, err := net.SplitHostPort(text)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil {
			return fmt.Errorf("expected host:port, got %q", text)
		}
		o.address = text
		return nil
	})
	flag.BoolVar(&o.loop, "loop", false, "go on until the program is ended")
	flag.Func("every", "seconds from round to round, 0.001 to 3600 (1)", func(text string) error {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || !(seconds >= 0.001 && seconds <= 3600) {
			return fmt.Errorf("expected 0.001 to 3600 seconds, got %q", text)
		}
		o.every = seconds
		return nil
	})
	flag.Parse()
	return o
}

// Run calls prepare with a client for the bridge that the command line names, and then what it returns: once, or again
// and again until SIGTERM.
func Run(prepare func(*metrics.Client) func()) {
	o := parse()
	// The first process of a container is not ended by a signal that it does not handle.
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	client, err := metrics.Dial(o.form, o.address)
	must(err)
	round := prepare(client)
	round()
	for o.loop && ended.Err() == nil {
		select {
		case <-ended.Done():
		case <-time.After(time.Duration(o.every * float64(time.Second))):
			round()
		}
	}
	must(client.Close())
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
