"""Writes a C file with the bytes of the page's files: embed.py OUT FILE..."""

import sys

TYPES = {
    'html': 'text/html; charset=utf-8',
    'css': 'text/css; charset=utf-8',
    'js': 'text/javascript; charset=utf-8',
    'svg': 'image/svg+xml',
}


def main():
    rows = []
    with open(sys.argv[1], 'w', encoding='ascii') as out:
        out.write('#include "daemon/web.h"\n\n#include <string.h>\n\n')
        for n, path in enumerate(sys.argv[2:]):
            name = path.replace('\\', '/').rsplit('/', 1)[-1]
            with open(path, 'rb') as file:
                data = file.read()
            out.write(f'static const unsigned char file_{n}[] = {{')
            out.write(','.join(str(b) for b in data))
            out.write('};\n')
            kind = TYPES[name.rsplit('.', 1)[-1]]
            rows.append(f'    {{"{"" if name == "index.html" else name}", "{kind}", (const char *)file_{n}, sizeof(file_{n})}},\n')
        out.write('\nstatic const struct web_file files[] = {\n' + ''.join(rows) + '};\n\n')
        out.write('const struct web_file *web_find(const char *path)\n{\n'
                  '    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {\n'
                  '        if (!strcmp(files[i].path, path)) {\n            return &files[i];\n        }\n    }\n'
                  '    return NULL;\n}\n')


main()
