package main

import (
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

// Agent is what Conduit's Agent measures.
type Agent struct {
	*Server
	cycles               *metrics.Counter
	cycleDuration        *metrics.Duration
	discovered           *metrics.Gauge
	discoveryErrors      *metrics.Counter
	registrations        *metrics.Counter
	registrationDuration *metrics.Duration
	heartbeats           *metrics.Counter
	connected            *metrics.Gauge
	operations           *metrics.Counter
	operationDuration    *metrics.Duration
	bmcErrors            *metrics.Counter
	solSessions          *metrics.Gauge
	solBytes             *metrics.Counter
	solReconnections     *metrics.Counter
	solErrors            *metrics.Counter
	vncSessions          *metrics.Gauge
	vncBytes             *metrics.Counter
	vncErrors            *metrics.Counter
}

func newAgent(client *metrics.Client) *Agent {
	return &Agent{
		Server:               newServer(client, "agent"),
		cycles:               client.Counter("agent_discovery_cycles_total", "status"),
		cycleDuration:        client.Duration("agent_discovery_duration_seconds"),
		discovered:           client.Gauge("agent_servers_discovered", "bmc_type"),
		discoveryErrors:      client.Counter("agent_discovery_errors_total", "error_type"),
		registrations:        client.Counter("agent_gateway_registrations_total", "status"),
		registrationDuration: client.Duration("agent_gateway_registration_duration_seconds"),
		heartbeats:           client.Counter("agent_heartbeats_sent_total", "status"),
		connected:            client.Gauge("agent_gateway_connection_status"),
		operations:           client.Counter("agent_bmc_operations_total", "bmc_type", "operation", "status"),
		operationDuration:    client.Duration("agent_bmc_operation_duration_seconds", "bmc_type", "operation"),
		bmcErrors:            client.Counter("agent_bmc_connection_errors_total", "bmc_type", "error_type"),
		solSessions:          client.Gauge("agent_sol_sessions_total", "server_id"),
		solBytes:             client.Counter("agent_sol_bytes_total", "direction"),
		solReconnections:     client.Counter("agent_sol_reconnections_total", "server_id", "status"),
		solErrors:            client.Counter("agent_sol_errors_total", "error_type"),
		vncSessions:          client.Gauge("agent_vnc_sessions_total", "server_id"),
		vncBytes:             client.Counter("agent_vnc_bytes_total", "direction"),
		vncErrors:            client.Counter("agent_vnc_connection_errors_total", "error_type"),
	}
}

// Discovered is called at the end of a discovery cycle, with how many servers there are of a type.
func (a *Agent) Discovered(bmcType string, servers int, took time.Duration, err error) {
	a.cycles.Add(1, statusOf(err))
	a.cycleDuration.Observe(took)
	if err != nil {
		a.discoveryErrors.Add(1, "network")
		return
	}
	a.discovered.Set(float64(servers), bmcType)
}

// Registered is called when the gateway has answered.
func (a *Agent) Registered(took time.Duration, err error) {
	a.registrations.Add(1, statusOf(err))
	a.registrationDuration.Observe(took)
	if err == nil {
		a.connected.Set(1)
	}
}

// Operated is called when a BMC has done what was asked, or has not.
func (a *Agent) Operated(bmcType, operation string, took time.Duration, err error) {
	a.operations.Add(1, bmcType, operation, statusOf(err))
	a.operationDuration.Observe(took, bmcType, operation)
	if err != nil {
		a.bmcErrors.Add(1, bmcType, "timeout")
	}
}

func (a *Agent) round() {
	a.Registered(40*time.Millisecond, nil)
	a.heartbeats.Add(1, "success")
	a.Discovered("redfish", 12, 4*time.Second, nil)
	a.Discovered("redfish", 0, 61*time.Second, errWrong)
	a.Operated("redfish", "power_on", 800*time.Millisecond, nil)
	a.Operated("ipmi", "power_off", 30*time.Second, errWrong)

	a.solSessions.Add(1, "srv-42")
	a.solBytes.Add(2048, "inbound")
	a.solBytes.Add(512, "outbound")
	a.solReconnections.Add(1, "srv-42", "success")
	a.solErrors.Add(1, "read")
	a.solSessions.Add(-1, "srv-42")

	a.vncSessions.Add(1, "srv-42")
	a.vncBytes.Add(65536, "inbound")
	a.vncErrors.Add(1, "refused")
	a.vncSessions.Add(-1, "srv-42")

	a.Requested("GET", "/health", 200, time.Millisecond)
	a.Called("AgentService", "ListServers", 6*time.Millisecond, nil)
}
