/* differential_skip.c - stands for differential.c where configure found no GMime. */
#include <stdio.h>

int main(void)
{
	puts("skip - differential: GMime 3 was not there when this was built (Debian: libgmime-3.0-dev)");
	return 77;
}
