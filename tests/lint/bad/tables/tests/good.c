static const char *const names[] = {"Good", "NoHelp", "Two", "BareOption", "Unlisted"};
