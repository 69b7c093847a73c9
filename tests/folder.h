/* A folder of its own to work in, for tests that write files: group set-up and tear-down. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <stdlib.h>
#include <unistd.h>

static char test_folder[] = "/tmp/statsbridge-test.XXXXXX";

static int
enter_folder(void **state)
{
	(void)state;
	return mkdtemp(test_folder) && chdir(test_folder) == 0 ? 0 : -1;
}

/* Fails when a test has left something behind. */
static int
leave_folder(void **state)
{
	(void)state;
	return chdir("/") == 0 && rmdir(test_folder) == 0 ? 0 : -1;
}

#endif
