/* The same tests over zlib, where the build has chosen ISA-L. */
#define GZIP_USE_ZLIB
#include "exposition/gzip.c"
#include "exposition/gzip_test.c"
