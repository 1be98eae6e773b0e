/* fault.h - places where a test may have a process die: in tests/support/smime-milter-faults. In the daemon that is
 * installed they are nothing at all.
 */
#ifndef MILTER_FAULT_H
#define MILTER_FAULT_H

#ifdef FAULT_POINTS
/* Kills the process (signal 9) if the file that SMIME_MILTER_FAULT names holds this name and nothing else. The file is
 * removed first: each kill is ordered anew. */
void fault_point(const char *name);
#else
#define fault_point(name) ((void)0)
#endif

#endif
