#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define READ_AT_ONCE ((size_t)64 << 10)

int
file_read(const char *path, int flags, size_t limit, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
	if (fd < 0)
		return errno;
	size_t had = out->len;
	ssize_t got;
	do {
		/* One byte beyond the limit tells whether there is more. */
		size_t left = limit + 1 - (out->len - had);
		size_t room = left < READ_AT_ONCE ? left : READ_AT_ONCE;
		char *to = buf_reserve(out, room);
		CHECK(to);
		got = read(fd, to, room);
		out->len += got > 0 ? (size_t)got : 0;
	} while ((got > 0 && out->len - had <= limit) || (got < 0 && errno == EINTR));
	int error = got < 0 ? errno : out->len - had > limit ? EFBIG : 0;
	close(fd);
	return error;
}

/* @return 0, or an errno value */
static int
write_all(int fd, struct span content)
{
	while (content.len) {
		ssize_t n = write(fd, content.ptr, content.len);
		if (n < 0 && errno != EINTR)
			return errno;
		content = span_from(content, n > 0 ? (size_t)n : 0);
	}
	return fsync(fd) == 0 ? 0 : errno;
}

static int
write_new(const char *path, struct span content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int error = write_all(fd, content);
	if (close(fd) != 0 && !error)
		error = errno;
	return error;
}

/* A rename has reached the disk once its folder has. */
static int
sync_folder(const char *path)
{
	struct buf folder = BUF_INIT;
	const char *slash = strrchr(path, '/');
	if (slash)
		buf_add(&folder, path, (size_t)(slash - path) + 1);
	else
		buf_add_byte(&folder, '.');
	int fd = open(buf_text(&folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd >= 0 && fsync(fd) == 0 ? 0 : errno;
	if (fd >= 0)
		close(fd);
	buf_fini(&folder);
	return error;
}

int
file_replace(const char *path, struct span content, bool *is_replaced)
{
	struct buf beside = BUF_INIT;
	buf_printf(&beside, "%s.new", path);
	int error = write_new(buf_text(&beside), content);
	if (!error && rename(buf_text(&beside), path) != 0)
		error = errno;
	if (is_replaced)
		*is_replaced = !error;
	if (!error)
		error = sync_folder(path);
	else
		unlink(buf_text(&beside));
	buf_fini(&beside);
	return error;
}
