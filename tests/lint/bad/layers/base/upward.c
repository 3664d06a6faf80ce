#include "proto/slab.h"
