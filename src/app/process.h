/*
 * app/process - what Linux says about this process, for the process_* metrics.
 */
#ifndef APP_PROCESS_H
#define APP_PROCESS_H

/* Values in base units; NaN where the kernel does not say. */
struct process_stats {
	double cpu_seconds;
	double open_fds, max_fds;
	double virtual_bytes, virtual_max_bytes, resident_bytes;
	double start_time_seconds; /* since 1970 */
	double network_receive_bytes, network_transmit_bytes;
};

void process_stats_read(struct process_stats *out);

#endif
