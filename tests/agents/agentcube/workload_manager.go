package main

import (
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

// WorkloadManager is what AgentCube's Workload Manager measures.
type WorkloadManager struct {
	createDuration *metrics.Duration
	created        *metrics.Counter
	deleted        *metrics.Counter
	rolledBack     *metrics.Counter
	gcDuration     *metrics.Duration
	gcReclaimed    *metrics.Counter
	gcErrors       *metrics.Counter
}

func newWorkloadManager(client *metrics.Client) *WorkloadManager {
	return &WorkloadManager{
		createDuration: client.Duration("agentcube_sandbox_create_duration_seconds", "kind", "status"),
		created:        client.Counter("agentcube_sandbox_create_total", "kind", "status"),
		deleted:        client.Counter("agentcube_sandbox_delete_total", "kind"),
		rolledBack:     client.Counter("agentcube_sandbox_rollback_total"),
		gcDuration:     client.Duration("agentcube_gc_cycle_duration_seconds"),
		gcReclaimed:    client.Counter("agentcube_gc_sandboxes_reclaimed_total", "reason"),
		gcErrors:       client.Counter("agentcube_gc_errors_total"),
	}
}

// SandboxCreated is called at the end of a creation, good or bad. A bad one is rolled back.
func (w *WorkloadManager) SandboxCreated(kind string, took time.Duration, err error) {
	status := "success"
	if err != nil {
		status = "failure"
		w.rolledBack.Add(1)
	}
	w.created.Add(1, kind, status)
	w.createDuration.Observe(took, kind, status)
}

// SandboxDeleted is called when one is gone.
func (w *WorkloadManager) SandboxDeleted(kind string) {
	w.deleted.Add(1, kind)
}

// GarbageCollected is called at the end of a cycle, with how many sandboxes it took back.
func (w *WorkloadManager) GarbageCollected(took time.Duration, expired, inactive int64, err error) {
	w.gcDuration.Observe(took)
	w.gcReclaimed.Add(expired, "expired")
	w.gcReclaimed.Add(inactive, "inactive")
	if err != nil {
		w.gcErrors.Add(1)
	}
}
