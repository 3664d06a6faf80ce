#include "base/err.h"
#include <jpeglib.h>
