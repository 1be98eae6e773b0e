/* harvest_directory.h - directories of type "harvested": the certificates that signed mail has taught. */
#ifndef MILTER_HARVEST_DIRECTORY_H
#define MILTER_HARVEST_DIRECTORY_H

#include "pki/directory.h"

extern const struct directory_driver harvest_directory_driver;

#endif
