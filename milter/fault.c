/* fault.c - dies where a test wants it. Linked into tests/support/smime-milter-faults alone. Called at the steps
 * between which a crash must do no harm. */
#include "milter/fault.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fault_point(const char *name)
{
	const char *path = getenv("SMIME_MILTER_FAULT");
	FILE *file = path != NULL ? fopen(path, "r") : NULL;
	char wanted[64] = "";

	if (file == NULL)
		return;
	if (fgets(wanted, sizeof(wanted), file) == NULL)
		wanted[0] = '\0';
	fclose(file);
	wanted[strcspn(wanted, "\n")] = '\0';
	/* Of several that come here at once, one dies. */
	if (strcmp(wanted, name) == 0 && unlink(path) == 0)
		(void)raise(SIGKILL);
}
