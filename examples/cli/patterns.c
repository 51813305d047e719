/* Patterns of files: shells expand them, other callers, and quotes, leave that to us. */
#include <dirent.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static glob_t found; /* of all patterns; the paths lists borrow */

/* Adds the files that a pattern names, in the order of their names, or the text itself where there are none or it is a file. */
ts_status cli_paths_add(cli_paths *paths, const char *text)
{
    size_t before = found.gl_pathc, count = 1;
    bool pattern = strpbrk(text, "*?[") != NULL && access(text, F_OK) != 0;
    if (pattern && glob(text, GLOB_APPEND * (before > 0), NULL, &found) == 0)
        count = found.gl_pathc - before;
    else
        pattern = false;
    const char **items = realloc(paths->items, (paths->count + count) * sizeof *items);
    if (items == NULL)
        return cli_fail("there is no memory");
    paths->items = items;
    for (size_t i = 0; i < count; i++)
        items[paths->count++] = pattern ? found.gl_pathv[before + i] : text;
    return TS_OK;
}

void cli_paths_end(void)
{
    globfree(&found);
}

bool cli_has_checkpoint(const char *folder)
{
    static const char first[] = "checkpoint", last[] = ".safetensors";
    bool has = false;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; !has && directory != NULL && (entry = readdir(directory)) != NULL;) {
        size_t size = strlen(entry->d_name);
        has = size >= sizeof first + sizeof last - 2 && strncmp(entry->d_name, first, sizeof first - 1) == 0 &&
              strcmp(entry->d_name + size - (sizeof last - 1), last) == 0;
    }
    if (directory != NULL)
        closedir(directory);
    return has;
}
