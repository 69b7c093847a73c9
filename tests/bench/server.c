#include "server.h"

#include "authority.h"
#include "channel.h"

#include <crypt.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_PATIENCE_MS 10000
#define REST_PATIENCE_MS 20000
#define REST_STEP_MS 10
#define ARGUMENTS_MAX 64
#define HEADERS_MAX 8192 /* bytes of an answer's headers */

/* The one user of a server that is secured. */
#define USER "books"
#define PASSWORD "sesame"
#define PASSWORD_COST 10

void
give_up(const char *what)
{
	if (errno)
		fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
			strerror(errno));
	else
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(2);
}

static struct sockaddr_in
loopback(uint16_t port)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static uint16_t
free_port(int type)
{
	int fd = socket(AF_INET, type, 0);
	struct sockaddr_in address = loopback(0);
	socklen_t len = sizeof(address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		give_up("no free port");
	close(fd);
	return ntohs(address.sin_port);
}

struct arguments {
	const char *list[ARGUMENTS_MAX + 1]; /* NULL at the end */
	size_t count;
	struct buf texts[ARGUMENTS_MAX];
};

static void
add_argument(struct arguments *arguments, const char *format, ...)
{
	CHECK(arguments->count < ARGUMENTS_MAX);
	struct buf *text = &arguments->texts[arguments->count];
	*text = BUF_INIT;
	va_list args;
	va_start(args, format);
	buf_vprintf(text, format, args);
	va_end(args);
	arguments->list[arguments->count++] = buf_text(text);
}

/*
 * Goes before all other processes on its CPU. Where the kernel shares a CPU out to sessions first,
 * niceness counts within one only; so this becomes one, with a niceness of its own.
 */
static void
become_urgent(void)
{
	setpriority(PRIO_PROCESS, 0, -20);
	setsid();
	FILE *file = fopen("/proc/self/autogroup", "w");
	if (file) {
		fputs("-20", file);
		fclose(file);
	}
}

/* Never returns; what it allocates goes with the process's image. */
static void
exec_server(const struct server *server, const struct server_plan *plan)
{
	struct arguments arguments = {0};
	add_argument(&arguments, "%s", plan->binary);
	add_argument(&arguments, "--web.listen-address=127.0.0.1:%u", server->web);
	add_argument(&arguments, "--statsd.listen-udp=127.0.0.1:%u", server->udp);
	add_argument(&arguments, "--statsd.listen-tcp=127.0.0.1:%u", server->tcp);
	add_argument(&arguments, "--statsd.mapping-config=%s", plan->mapping);
	add_argument(&arguments, "--log.level=error");
	if (!plan->is_peer) {
		add_argument(&arguments, "--statsd.listen-unixgram=%s", server->unixgram);
		add_argument(&arguments, "--web.enable-lifecycle");
	}
	if (server->is_secure)
		add_argument(&arguments, "--web.config.file=%s/web.yml", server->directory);
	for (const char *const *flag = plan->flags; flag && *flag; flag++)
		add_argument(&arguments, "%s", *flag);
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(plan->cpu, &set);
	if (plan->is_pinned && sched_setaffinity(0, sizeof(set), &set))
		give_up("sched_setaffinity");
	if (plan->is_urgent)
		become_urgent();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execv(plan->binary, (char *const *)(uintptr_t)arguments.list);
	give_up(plan->binary);
}

/* ---- TLS and a password. ---- */

static const char *const secret_files[] = {"web.yml", "server.crt", "server.key"};

static void
write_secret(const struct server *server, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%s", server->directory, name);
	FILE *file = fopen(path, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		give_up(path);
}

static void
remove_directory(const struct server *server)
{
	for (size_t i = 0; i < sizeof(secret_files) / sizeof(secret_files[0]); i++) {
		char path[64];
		snprintf(path, sizeof(path), "%s/%s", server->directory, secret_files[i]);
		unlink(path);
	}
	rmdir(server->directory);
}

/* With a key of RSA, the dearest for a server. */
static void
write_secrets(struct server *server)
{
	struct issued authority = authority_issue(NULL, "authority", NULL, GNUTLS_PK_ECDSA);
	struct issued issued =
	    authority_issue(&authority, "server", GNUTLS_KP_TLS_WWW_SERVER, GNUTLS_PK_RSA);
	struct buf text = BUF_INIT;
	const char *hash = crypt(PASSWORD, crypt_gensalt("$2b$", PASSWORD_COST, NULL, 0));
	if (!hash || *hash == '*')
		give_up("no hash of a password");
	buf_printf(&text,
		   "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
		   "basic_auth_users: {" USER ": '%s'}\n",
		   hash);
	write_secret(server, "web.yml", buf_text(&text));
	write_secret(server, "server.crt", (const char *)issued.certificate_pem.data);
	write_secret(server, "server.key", (const char *)issued.key_pem.data);
	buf_fini(&text);
	issued_fini(&issued);
	issued_fini(&authority);
}

static void
await_ready(const struct server *server)
{
	struct body_sink sink = {0};
	for (int waited_ms = 0; server_request(server, "GET", "/metrics", "", &sink) != 200;
	     waited_ms += 10) {
		errno = 0;
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
			remove_directory(server);
			give_up("the server ended at start");
		}
		if (waited_ms >= START_PATIENCE_MS)
			give_up("the server did not become ready");
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

void
server_start(struct server *server, const struct server_plan *plan)
{
	*server = (struct server){
	    .web = free_port(SOCK_STREAM),
	    .udp = free_port(SOCK_DGRAM),
	    .tcp = free_port(SOCK_STREAM),
	    .directory = "/tmp/bench-XXXXXX",
	    .prefix = plan->is_peer ? "statsd_exporter_" : "statsbridge_",
	    .is_secure = plan->is_secure,
	};
	if (!mkdtemp(server->directory))
		give_up(server->directory);
	snprintf(server->unixgram, sizeof(server->unixgram), "%s/socket", server->directory);
	if (server->is_secure)
		write_secrets(server);
	server->pid = fork();
	if (server->pid < 0)
		give_up("fork");
	if (server->pid == 0)
		exec_server(server, plan);
	await_ready(server);
}

bool
server_stop(struct server *server)
{
	int status = 0;
	kill(server->pid, SIGTERM);
	if (waitpid(server->pid, &status, 0) != server->pid)
		give_up("waitpid");
	remove_directory(server);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* A body as it comes: in chunks (RFC 9112, section 7.1), or up to the connection's end. */
struct body {
	struct body_sink *sink;
	bool is_chunked, is_over;
	bool is_in_chunk;
	uint64_t left; /* of the chunk; between chunks the size of the next one as far as it came */
};

/* Reads the headers. @rest gets what came of the body with them. @return the status, 0 = none came
 */
static unsigned
receive_headers(struct channel *channel, char *room, struct span *rest, struct body *body)
{
	static const char chunked[] = "\r\nTransfer-Encoding: chunked\r\n";
	size_t len = 0;
	body->sink->failure = "reading the headers";
	for (;;) {
		ssize_t got = channel_receive(channel, room + len, HEADERS_MAX - len);
		if (got <= 0)
			return 0;
		len += (size_t)got;
		const char *end = memmem(room, len, "\r\n\r\n", 4);
		if (!end)
			continue;
		*rest = span_from(span_of(room, len), (size_t)(end + 4 - room));
		body->is_chunked =
		    memmem(room, (size_t)(end + 2 - room), chunked, sizeof(chunked) - 1);
		unsigned status;
		return sscanf(room, "HTTP/1.%*c %u", &status) == 1 ? status : 0;
	}
}

static void
take_body(struct body_sink *sink, struct span bytes)
{
	sink->bytes += bytes.len;
	if (sink->take && bytes.len)
		sink->take(sink->ctx, bytes.ptr, bytes.len);
}

/* A byte of a chunk's size, of the line end behind it, or of the one behind the chunk before. */
static void
take_size(struct body *body, char byte)
{
	if (byte >= '0' && byte <= '9')
		body->left = body->left * 16 + (uint64_t)(byte - '0');
	else if ((byte | 32) >= 'a' && (byte | 32) <= 'f')
		body->left = body->left * 16 + (uint64_t)((byte | 32) - 'a') + 10;
}

/* Between two chunks are two line ends, the first of which ends the chunk before. */
static void
take_chunks(struct body *body, struct span bytes)
{
	while (bytes.len && !body->is_over) {
		if (body->is_in_chunk && body->left) {
			struct span piece = span_first(
			    bytes, body->left < bytes.len ? (size_t)body->left : bytes.len);
			take_body(body->sink, piece);
			body->left -= piece.len;
			bytes = span_from(bytes, piece.len);
			continue;
		}
		take_size(body, *bytes.ptr);
		if (*bytes.ptr == '\n') {
			body->is_over = !body->is_in_chunk && !body->left;
			body->is_in_chunk = !body->is_in_chunk;
		}
		bytes = span_from(bytes, 1);
	}
}

/* The connection ends with the answer. */
static unsigned
receive_answer(struct channel *channel, struct body_sink *sink)
{
	static __thread char room[256 * 1024];
	struct body body = {.sink = sink};
	struct span bytes;
	unsigned status = receive_headers(channel, room, &bytes, &body);
	if (!status)
		return 0;
	sink->failure = "reading the body";
	for (;;) {
		if (body.is_chunked)
			take_chunks(&body, bytes);
		else
			take_body(sink, bytes);
		ssize_t got = channel_receive(channel, room, sizeof(room));
		if (got < 0 || (got == 0 && body.is_chunked && !body.is_over))
			return 0;
		if (got == 0) {
			sink->failure = NULL;
			return status;
		}
		bytes = span_of(room, (size_t)got);
	}
}

unsigned
server_request(const struct server *server, const char *method, const char *path,
	       const char *headers, struct body_sink *sink)
{
	static const char password[] = "Authorization: Basic Ym9va3M6c2VzYW1l\r\n"; /* of USER */
	char request[512];
	struct channel channel;
	int len = snprintf(request, sizeof(request),
			   "%s %s HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n%s%s\r\n", method,
			   path, headers, server->is_secure ? password : "");
	unsigned status = 0;
	errno = 0;
	sink->failure = "connecting";
	if (channel_open(&channel, server->web, server->is_secure)) {
		sink->failure = "sending";
		if (channel_send(&channel, request, (size_t)len))
			status = receive_answer(&channel, sink);
	}
	int reason = errno;
	channel_close(&channel);
	errno = reason;
	return status;
}

bool
server_reload(const struct server *server)
{
	struct body_sink sink = {0};
	return server_request(server, "POST", "/-/reload", "", &sink) == 200;
}

/* Lets lines through that start with a prefix, without it. */
struct filter {
	struct span prefix;
	struct buf *out;
	struct buf line; /* the one that has not ended yet */
};

static void
filter_line(struct filter *filter, struct span line)
{
	if (!span_starts(line, filter->prefix))
		return;
	buf_add_span(filter->out, span_from(line, filter->prefix.len));
	buf_add_byte(filter->out, '\n');
}

static void
filter_take(void *ctx, const char *bytes, size_t len)
{
	struct filter *filter = ctx;
	struct span rest = span_of(bytes, len);
	const char *end;
	while ((end = span_find(rest, '\n'))) {
		struct span line = span_first(rest, (size_t)(end - rest.ptr));
		rest = span_from(rest, line.len + 1);
		if (filter->line.len) {
			buf_add_span(&filter->line, line);
			line = buf_span(&filter->line);
		}
		filter_line(filter, line);
		buf_reset(&filter->line);
	}
	buf_add_span(&filter->line, rest);
}

bool
server_scrape(const struct server *server, struct buf *own)
{
	struct filter filter = {span_text(server->prefix), own, BUF_INIT};
	struct body_sink sink = {filter_take, &filter, 0};
	buf_reset(own);
	unsigned status = server_request(server, "GET", "/metrics", "", &sink);
	bool is_whole = status == 200 && sink.bytes && !filter.line.len;
	buf_fini(&filter.line);
	return is_whole;
}

uint64_t
own_metric(const struct buf *own, const char *name)
{
	struct span wanted = span_text(name);
	double sum = 0;
	struct span rest = buf_span(own);
	while (rest.len) {
		const char *end = span_find(rest, '\n');
		struct span line = span_first(rest, (size_t)(end - rest.ptr));
		rest = span_from(rest, line.len + 1);
		if (!span_starts(line, wanted) || line.len <= wanted.len ||
		    !strchr(" {", line.ptr[wanted.len]))
			continue;
		const char *space = memrchr(line.ptr, ' ', line.len);
		sum += strtod(space, NULL);
	}
	return (uint64_t)sum;
}

int64_t
server_memory_kib(const struct server *server)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)server->pid);
	FILE *file = fopen(path, "r");
	if (!file)
		give_up(path);
	long long kib = -1;
	while (kib < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %lld kB", &kib) != 1)
			kib = -1;
	fclose(file);
	if (kib < 0)
		give_up("no RssAnon in /proc/PID/status");
	return kib;
}

double
server_cpu_ns(const struct server *server)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(server->pid, &clock) || clock_gettime(clock, &used))
		give_up("no CPU clock of the server");
	return (double)used.tv_sec * 1e9 + (double)used.tv_nsec;
}

struct server_ticks
server_ticks(const struct server *server)
{
	char path[64];
	unsigned long long user = 0, system = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)server->pid);
	FILE *file = fopen(path, "r");
	/* The name may hold blanks; it ends with the last ')'. */
	if (!file || fscanf(file, "%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
			    &user, &system) != 2)
		give_up(path);
	fclose(file);
	return (struct server_ticks){user, system};
}

uint64_t
server_drops(const struct server *server)
{
	FILE *file = fopen("/proc/net/udp", "r");
	if (!file)
		give_up("/proc/net/udp");
	char line[512];
	uint64_t drops = 0;
	while (fgets(line, sizeof(line), file)) {
		unsigned port;
		if (sscanf(line, " %*u: %*x:%x", &port) != 1 || port != server->udp)
			continue;
		line[strcspn(line, "\n")] = '\0';
		size_t len = strlen(line);
		while (len && line[len - 1] == ' ')
			line[--len] = '\0';
		const char *last = strrchr(line, ' ');
		drops += last ? strtoull(last, NULL, 10) : 0;
	}
	fclose(file);
	return drops;
}

void
server_await_rest(const struct server *server, int rest_ms)
{
	double last = server_cpu_ns(server);
	int rested_ms = 0;
	for (int waited_ms = 0; waited_ms < REST_PATIENCE_MS && rested_ms < rest_ms;
	     waited_ms += REST_STEP_MS) {
		nanosleep(&(struct timespec){.tv_nsec = REST_STEP_MS * 1000000L}, NULL);
		double now = server_cpu_ns(server);
		/* What timers cost meanwhile, generously. */
		rested_ms = now - last < 300000 ? rested_ms + REST_STEP_MS : 0;
		last = now;
	}
}
