package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"statsbridge-tests/agents/internal/metrics"
)

// Process is what every component tells about its Go runtime and its process on Linux, with its name as a label.
type Process struct {
	component string

	goroutines, threads, allocated, heapInUse *metrics.Gauge
	pauses                                    *metrics.Duration
	cpu                                       *metrics.Counter
	resident, openFiles, startTime            *metrics.Gauge

	pausesSent int64
	cpuSent    int64
	started    time.Time
}

func newProcess(client *metrics.Client, component string) *Process {
	return &Process{
		component:  component,
		goroutines: client.Gauge("go_goroutines", "component"),
		threads:    client.Gauge("go_threads", "component"),
		allocated:  client.Gauge("go_memstats_alloc_bytes", "component"),
		heapInUse:  client.Gauge("go_memstats_heap_inuse_bytes", "component"),
		pauses:     client.Duration("go_gc_duration_seconds", "component"),
		cpu:        client.Counter("process_cpu_seconds_total", "component"),
		resident:   client.Gauge("process_resident_memory_bytes", "component"),
		openFiles:  client.Gauge("process_open_fds", "component"),
		startTime:  client.Gauge("process_start_time_seconds", "component"),
		started:    time.Now(),
	}
}

// Report is called every few seconds.
func (p *Process) Report() {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	p.goroutines.Set(float64(runtime.NumGoroutine()), p.component)
	p.threads.Set(float64(pprof.Lookup("threadcreate").Count()), p.component)
	p.allocated.Set(float64(memory.Alloc), p.component)
	p.heapInUse.Set(float64(memory.HeapInuse), p.component)
	p.reportPauses()

	p.reportCPU()
	p.resident.Set(residentBytes(), p.component)
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.openFiles.Set(float64(len(files)), p.component)
	}
	p.startTime.Set(float64(p.started.UnixMilli())/1000, p.component)
}

// reportPauses sends each pause of the garbage collection once. The runtime remembers the latest, the last one first.
func (p *Process) reportPauses() {
	var collections debug.GCStats
	debug.ReadGCStats(&collections)
	for i := 0; i < len(collections.Pause) && int64(i) < collections.NumGC-p.pausesSent; i++ {
		p.pauses.Observe(collections.Pause[i], p.component)
	}
	p.pausesSent = collections.NumGC
}

// reportCPU sends whole seconds, as counters are whole, and keeps the rest for the next time.
func (p *Process) reportCPU() {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return
	}
	used := (usage.Utime.Nano() + usage.Stime.Nano()) / int64(time.Second)
	p.cpu.Add(used-p.cpuSent, p.component)
	p.cpuSent = used
}

func residentBytes() float64 {
	statm, _ := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return float64(pages * os.Getpagesize())
}
