// Sends Conduit's whole catalogue once, or again and again with --loop. The names are in mappings/conduit.
//
// Each component is a program of its own in Conduit. Here the three are one.
package main

import (
	"errors"
	"runtime"

	"statsbridge-tests/agents/internal/command"
	"statsbridge-tests/agents/internal/metrics"
)

var errWrong = errors.New("something went wrong")

func main() {
	command.Run(func(client *metrics.Client) func() {
		rounds := []func(){newManager(client).round, newGateway(client).round, newAgent(client).round}
		for _, component := range []string{"manager", "gateway", "agent"} {
			rounds = append(rounds, newProcess(client, component).Report)
		}
		// So that there is a pause to report however short the program runs.
		runtime.GC()
		return func() {
			for _, round := range rounds {
				round()
			}
		}
	})
}
