#include "app/process.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads a small file of /proc; @return whether there was anything */
static int
read_file(const char *path, char *out, size_t size)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	size_t len = fread(out, 1, size - 1, file);
	fclose(file);
	out[len] = '\0';
	return len > 0;
}

static double
limit_of(int resource)
{
	struct rlimit limit;
	if (getrlimit(resource, &limit) != 0)
		return NAN;
	return limit.rlim_cur == RLIM_INFINITY ? (double)~0ull : (double)limit.rlim_cur;
}

/* From Linux 6.2 on the folder's size tells, which spares looking at each. */
static double
count_fds(void)
{
	static const char path[] = "/proc/self/fd";
	struct stat folder;
	if (stat(path, &folder) == 0 && folder.st_size > 0)
		return (double)folder.st_size;
	DIR *dir = opendir(path);
	if (!dir)
		return NAN;
	double count = -1; /* the folder itself is open, too */
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* When the system booted, in seconds since 1970. */
static double
boot_time(void)
{
	char text[16384];
	unsigned long long seconds;
	const char *at = read_file("/proc/stat", text, sizeof(text)) ? strstr(text, "btime ") : NULL;
	return at && sscanf(at, "btime %llu", &seconds) == 1 ? (double)seconds : NAN;
}

/* proc_pid_stat(5): fields 14, 15, 22, 23 and 24; the name in field 2 may hold anything. */
static void
read_stat(struct process_stats *out)
{
	char text[2048];
	const char *at = read_file("/proc/self/stat", text, sizeof(text)) ? strrchr(text, ')') : NULL;
	unsigned long user, system, size;
	unsigned long long start;
	long resident;
	if (!at || sscanf(at + 2,
			  "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d "
			  "%*d %*d %llu %lu %ld",
			  &user, &system, &start, &size, &resident) != 5)
		return;
	double ticks = (double)sysconf(_SC_CLK_TCK);
	out->cpu_seconds = (double)(user + system) / ticks;
	out->start_time_seconds = boot_time() + (double)start / ticks;
	out->virtual_bytes = (double)size;
	out->resident_bytes = (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* /proc/net/netstat: a line of names, then a line of values, both starting with "IpExt:". */
static void
read_network(struct process_stats *out)
{
	char text[32768];
	char *names = read_file("/proc/self/net/netstat", text, sizeof(text))
			  ? strstr(text, "IpExt: ")
			  : NULL;
	char *values = names ? strstr(names + 1, "IpExt: ") : NULL;
	if (!values)
		return;
	char *name_at = NULL, *value_at = NULL;
	values[-1] = '\0';
	char *name = strtok_r(names, " ", &name_at);
	char *value = strtok_r(values, " \n", &value_at);
	while (name && value) {
		unsigned long long n;
		if (strcmp(name, "InOctets") == 0 && sscanf(value, "%llu", &n) == 1)
			out->network_receive_bytes = (double)n;
		if (strcmp(name, "OutOctets") == 0 && sscanf(value, "%llu", &n) == 1)
			out->network_transmit_bytes = (double)n;
		name = strtok_r(NULL, " ", &name_at);
		value = strtok_r(NULL, " \n", &value_at);
	}
}

void
process_stats_read(struct process_stats *out)
{
	*out = (struct process_stats){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
	read_stat(out);
	read_network(out);
	out->open_fds = count_fds();
	out->max_fds = limit_of(RLIMIT_NOFILE);
	out->virtual_max_bytes = limit_of(RLIMIT_AS);
}
