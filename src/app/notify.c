#include "app/notify.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* The longest time that is still counted exactly, a year: longer is as good as never. */
#define WATCHDOG_MAX_US (INT64_C(365) * 24 * 3600 * 1000 * 1000)

/* @return the whole number that a variable holds, up to WATCHDOG_MAX_US, or -1 */
static int64_t
read_number(const char *name)
{
	const char *text = getenv(name);
	int64_t number = 0;
	if (!text || !*text)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || number > WATCHDOG_MAX_US)
			return -1;
		number = number * 10 + (*text - '0');
	}
	return number <= WATCHDOG_MAX_US ? number : -1;
}

static int64_t
watchdog_period_us(void)
{
	int64_t limit_us = read_number("WATCHDOG_USEC");
	bool is_for_us = !getenv("WATCHDOG_PID") || read_number("WATCHDOG_PID") == getpid();
	return is_for_us && limit_us > 1 ? limit_us / 2 : 0;
}

int64_t
notify_open(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET"), *error = NULL;
	int64_t period_us = path ? watchdog_period_us() : 0;
	if (path && address_parse_unix(path, &notify->to, &error) == 0) {
		notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		notify->is_open = notify->fd >= 0;
		if (!notify->is_open)
			error = log_errno_text(errno);
	}
	if (error)
		log_warn("cannot tell the service manager anything", LOG_TEXT("socket", path),
			 LOG_TEXT("error", error));
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return notify->is_open ? period_us : 0;
}

void
notify_fini(struct notify *notify)
{
	if (notify->is_open)
		close(notify->fd);
	*notify = (struct notify){0};
}

static void
tell(struct notify *notify, struct span lines)
{
	static struct log_gate gate;
	uint64_t held_back;
	if (!notify->is_open ||
	    sendto(notify->fd, lines.ptr, lines.len, MSG_NOSIGNAL,
		   (const struct sockaddr *)&notify->to.storage, notify->to.len) >= 0)
		return;
	int error = errno;
	if (log_gate_open(&gate, &held_back))
		log_warn("the service manager does not listen", LOG_ERRNO(error),
			 LOG_NUM("held_back", held_back));
}

void
notify_ready(struct notify *notify, const char *status)
{
	struct buf lines = BUF_INIT;
	buf_printf(&lines, "READY=1\nSTATUS=%s\n", status);
	tell(notify, buf_span(&lines));
	buf_fini(&lines);
}

void
notify_reloading(struct notify *notify)
{
	struct buf lines = BUF_INIT;
	buf_printf(&lines, "RELOADING=1\nMONOTONIC_USEC=%lld\n", (long long)clock_mono().us);
	tell(notify, buf_span(&lines));
	buf_fini(&lines);
}

void
notify_stopping(struct notify *notify)
{
	tell(notify, SPAN("STOPPING=1\nSTATUS=Taking what the sockets hold\n"));
}

void
notify_watchdog(struct notify *notify)
{
	tell(notify, SPAN("WATCHDOG=1\n"));
}
