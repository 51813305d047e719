/*
 * The version of libtinystories.
 *
 * The major number is the ABI: it grows only when a program that was linked against an older library would break, and it is the SONAME's number.
 * The minor number grows when something is added, the patch number when something is mended.
 */
#ifndef TINYSTORIES_VERSION_H
#define TINYSTORIES_VERSION_H

#include "tinystories/base.h"

#define TS_VERSION_MAJOR 0
#define TS_VERSION_MINOR 1
#define TS_VERSION_PATCH 0
#define TS_VERSION_NUMBER (TS_VERSION_MAJOR * 10000 + TS_VERSION_MINOR * 100 + TS_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/* TS_VERSION_NUMBER of the library that was loaded, which may be newer than the header that was compiled against. */
TS_API uint32_t ts_version_number(void);

/* The same as "major.minor.patch"; a constant string that is never freed. */
TS_API const char *ts_version(void);

#ifdef __cplusplus
}
#endif

#endif
