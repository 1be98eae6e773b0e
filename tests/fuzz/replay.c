/* replay.c - main() for fuzz targets where there is no libFuzzer: runs the target once for each file given, for each
 * file in each directory given, or, without arguments, for those in tests/fuzz/corpus/NAME, NAME being the program's
 * name without "fuzz_" and TOP_SRCDIR saying where tests/ is. Exit 1: there was nothing to run.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int run_file(const char *path, size_t size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = malloc(size > 0 ? size : 1);	/* exactly as long as the file: a byte too far is seen */
	int ran = 0;

	if (file != NULL && data != NULL && fread(data, 1, size, file) == size) {
		LLVMFuzzerTestOneInput(data, size);
		ran = 1;
	} else {
		fprintf(stderr, "%s: cannot be read\n", path);
	}
	if (file != NULL)
		fclose(file);
	free(data);
	return ran;
}

static int run_path(const char *path)
{
	struct dirent *entry = NULL;
	struct stat st;
	char inner[1024];
	DIR *dir = NULL;
	int ran = 0;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return run_file(path, (size_t)st.st_size);
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && stat(inner, &st) == 0 && S_ISREG(st.st_mode))
			ran += run_file(inner, (size_t)st.st_size);
	}
	if (dir != NULL)
		closedir(dir);
	return ran;
}

static int run_own_corpus(const char *program)
{
	const char *top = getenv("TOP_SRCDIR"), *name = strrchr(program, '/');
	char path[1024];

	name = name != NULL ? name + 1 : program;
	if (strncmp(name, "lt-", 3) == 0)
		name += 3;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", name);
	return run_path(path);
}

int main(int argc, char **argv)
{
	int ran = 0;

	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		ran += run_path(argv[i]);
	if (argc < 2)
		ran = run_own_corpus(argv[0]);
	printf("%s: %d inputs\n", argv[0], ran);
	return ran > 0 ? 0 : 1;
}
