// Compiles HLSL with Microsoft's compilers as wgpu-hal does: FXC, or DXC for Windows or Linux.
//
//   compile LIBRARY MODEL FOLDER RESULTS
//
// LIBRARY is d3dcompiler_47.dll (FXC), dxcompiler.dll or libdxcompiler.so (DXC, 1.8 or later); FOLDER has what
// `portability modules` wrote; RESULTS is a file of results (results.rs). wgpu takes any message of DXC for an error, and
// none of FXC's warnings, whose codes follow `ok`. For Windows, and for Linux:
//
//   x86_64-w64-mingw32-gcc -O2 -static -Wl,--stack,67108864 -o compile.exe compile.c -lpthread
//   gcc -O2 -o compile compile.c -ldl

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#ifdef _WIN32
#include <windows.h>
#define METHOD WINAPI
static void *load(const char *path, const char *function) {
    HMODULE library = LoadLibraryA(path);
    return library ? (void *)GetProcAddress(library, function) : NULL;
}
#else
#include <dlfcn.h>
#define METHOD
static void *load(const char *path, const char *function) {
    void *library = dlopen(path, RTLD_NOW);
    return library ? dlsym(library, function) : NULL;
}
#endif

typedef struct { uint32_t a; uint16_t b, c; uint8_t d[8]; } Id;
static const Id COMPILER = {0x73e22d93, 0xe6ce, 0x47f3, {0xb5, 0xbf, 0xf0, 0x66, 0x4f, 0x39, 0xc1, 0xb0}};
static const Id COMPILER3 = {0x228b4687, 0x5a6a, 0x4730, {0x90, 0x0c, 0x97, 0x02, 0xb2, 0x20, 0x3f, 0x54}};
static const Id RESULT = {0x58346cda, 0xdde7, 0x4497, {0x94, 0x61, 0x6f, 0x87, 0xaf, 0x5e, 0x06, 0x59}};

// An object of COM is a pointer to its table of functions, the first three of which are those of all.
#define UNKNOWN void *query, *add; uint32_t(METHOD *release)(void *)
typedef struct { UNKNOWN; void *(METHOD *pointer)(void *); size_t(METHOD *size)(void *); } **Blob;
typedef struct {
    UNKNOWN;
    int32_t(METHOD *status)(void *, int32_t *);
    int32_t(METHOD *object)(void *, Blob *);
    int32_t(METHOD *messages)(void *, Blob *);
} **Result;
typedef struct { const void *text; size_t size; uint32_t encoding; } Source;
typedef struct {
    UNKNOWN;
    int32_t(METHOD *compile)(void *, const Source *, const wchar_t **, uint32_t, void *, const Id *, Result *);
} **Compiler;

typedef int32_t(METHOD *D3dCompile)(const void *, size_t, const char *, const void *, void *, const char *, const char *,
                                    uint32_t, uint32_t, Blob *, Blob *);
typedef int32_t(METHOD *DxcCreate)(const Id *, const Id *, Compiler *);

static D3dCompile fxc;
static Compiler dxc;

static int32_t compile(Source source, const char *entry, const char *model, Blob *object, Blob *messages) {
    char target[16];
    snprintf(target, sizeof target, "cs_%s", model);
    if (fxc) {
        const uint32_t strictness = 1 << 11;
        return fxc(source.text, source.size, NULL, NULL, NULL, entry, target, strictness, 0, object, messages);
    }
    wchar_t wide_entry[256], wide_target[16];
    mbstowcs(wide_entry, entry, 256);
    mbstowcs(wide_target, target, 16);
    const wchar_t *arguments[] = {L"-E", wide_entry, L"-T", wide_target, L"-HV", L"2018", L"-no-warnings", L"-Ges",
                                  L"-enable-16bit-types"};
    Result result = NULL;
    int32_t status = (*dxc)->compile(dxc, &source, arguments, 9, NULL, &RESULT, &result);
    if (result) {
        (*result)->status(result, &status);
        (*result)->object(result, object);
        (*result)->messages(result, messages);
        (*result)->release(result);
    }
    return status;
}

// The text of a file with a zero behind it, NULL where there is none.
static char *read(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    *size = fread(text, 1, *size, file);
    text[*size] = 0;
    fclose(file);
    return text;
}

// Writes each code of FXC's warnings once, such as X4000.
static void write_warnings(FILE *out, const char *message, size_t length) {
    const char *word = "warning X", *end = message + length;
    char seen[64][6] = {{0}};
    int known = 0;
    for (const char *at = message; at + strlen(word) + 4 <= end; at++) {
        if (strncmp(at, word, strlen(word))) continue;
        char code[6] = {0};
        memcpy(code, at + strlen(word) - 1, 5);
        int number = 0;
        while (number < known && strcmp(seen[number], code)) number++;
        if (number < known || known == 64) continue;
        memcpy(seen[known++], code, sizeof code);
        fprintf(out, " %s", code);
    }
}

static double used(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    const char *library = arguments[1], *model = arguments[2], *folder = arguments[3], *results = arguments[4];
    if (strstr(library, "d3dcompiler")) {
        fxc = (D3dCompile)load(library, "D3DCompile");
    } else {
        DxcCreate create = (DxcCreate)load(library, "DxcCreateInstance");
        if (create) create(&COMPILER, &COMPILER3, &dxc);
    }
    if (!fxc && !dxc) {
        fprintf(stderr, "no compiler in %s\n", library);
        return 2;
    }
    char path[1024];
    size_t size = 0, done_size = 0;
    snprintf(path, sizeof path, "%s/list.tsv", folder);
    char *list = read(path, &size), *done = read(results, &done_size);
    FILE *out = fopen(results, "ab");
    if (!list || !out) return 2;
    // Ends the line at which the program was.
    if (done_size && done[done_size - 1] != '\n') fputc('\n', out);
    for (char *line = strtok(list, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        char stem[256], entry[256];
        if (sscanf(line, "%255s %255s", stem, entry) != 2) return 2;
        if (done && strstr(done, stem)) continue;
        snprintf(path, sizeof path, "%s/%s.hlsl", folder, stem);
        Source source = {NULL, 0, 65001};
        char *text = read(path, &source.size);
        if (!text) return 2;
        source.text = text;
        fputs(stem, out);
        fflush(out);
        Blob object = NULL, messages = NULL;
        double start = used();
        int32_t status = compile(source, entry, model, &object, &messages);
        fprintf(out, "\t%.4f\t", used() - start);
        const char *message = messages ? (*messages)->pointer(messages) : "";
        size_t length = messages ? (*messages)->size(messages) : 0;
        length = strnlen(message ? message : "", length);
        // All that DXC for Linux has to say of a good module.
        if (status >= 0 && length && strstr(message, "DXIL signing library") && !strstr(message, "error")) length = 0;
        if (status >= 0 && object && (*object)->size(object) && (fxc || !length)) {
            fputs("ok", out);
            if (length) write_warnings(out, message, length);
        } else fprintf(out, "error %x: ", (unsigned)status);
        if (!fxc || status < 0)
            for (size_t i = 0; i < length; i++) fputc(strchr("\r\n\t", message[i]) ? ' ' : message[i], out);
        fputc('\n', out);
        fflush(out);
        if (object) (*object)->release(object);
        if (messages) (*messages)->release(messages);
        free(text);
    }
    return 0;
}
