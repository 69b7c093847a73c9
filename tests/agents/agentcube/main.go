// Sends AgentCube's whole catalogue once, or again and again with --loop. The names are in mappings/agentcube.
package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"statsbridge-tests/agents/internal/command"
	"statsbridge-tests/agents/internal/metrics"
)

func main() {
	command.Run(func(client *metrics.Client) func() {
		manager, router := newWorkloadManager(client), newRouter(client)
		var end func(error)
		return func() {
			manager.SandboxCreated("AgentRuntime", 12*time.Second, nil)
			manager.SandboxCreated("CodeInterpreter", 45*time.Second, errors.New("no node has room"))
			manager.SandboxDeleted("AgentRuntime")
			manager.GarbageCollected(250*time.Millisecond, 2, 1, nil)
			manager.GarbageCollected(2*time.Second, 0, 0, errors.New("the store is away"))

			if end != nil {
				end(nil)
			}
			for _, err := range []error{nil, syscall.ECONNREFUSED, context.DeadlineExceeded, errors.New("bad gateway")} {
				router.Begin("CodeInterpreter")(err)
			}
			router.SessionCreated()
			// This one is still under way when the round is over.
			end = router.Begin("AgentRuntime")
			router.Begin("AgentRuntime")(nil)
		}
	})
}
