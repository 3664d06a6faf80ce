#ifndef BASE_NO_TITLE_H
#define BASE_NO_TITLE_H
#endif
