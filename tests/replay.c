/*
 * Runs a fuzz target over files and folders of files, so that corpora are replayed by any compiler
 * and under any sanitizer. Linked instead of libFuzzer's driver.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed;

static int
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		return 1;
	}
	uint8_t *data = NULL;
	size_t size = 0, room = 0;
	for (;;) {
		if (size == room)
			data = realloc(data, room = room ? room * 2 : 4096);
		size_t n = fread(data + size, 1, room - size, file);
		if (!n)
			break;
		size += n;
	}
	fclose(file);
	/* A copy of the exact size, so that AddressSanitizer sees every byte read too far. */
	uint8_t *exact = malloc(size ? size : 1);
	memcpy(exact, data, size);
	free(data);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	replayed++;
	return 0;
}

static int
replay(const char *path)
{
	struct stat info;
	if (stat(path, &info) != 0) {
		perror(path);
		return 1;
	}
	if (!S_ISDIR(info.st_mode))
		return replay_file(path);
	DIR *dir = opendir(path);
	if (!dir) {
		perror(path);
		return 1;
	}
	int failed = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		char inner[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		failed |= replay(inner);
	}
	closedir(dir);
	return failed;
}

int
main(int argc, char **argv)
{
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= replay(argv[i]);
	printf("%s: %zu inputs replayed\n", argv[0], replayed);
	return failed || replayed == 0;
}
