/* Kernels -> SPIR-V modules for Vulkan devices.
 *
 * A blob of SN_CODE_SPIRV: bytes: the words of a module with the entry point "main"; entry: invocations of a workgroup;
 * workspace_bytes: global scratch of each workgroup; features: what the device must have. Its push block has members of
 * 8 bytes: [0] instances of the grid, [1] address of the workspace, then the arguments in order, addresses of buffers
 * and values of sizes; of more than 14 arguments [2] is the address of a table of them. A workgroup runs the instance
 * of its linear number (x + y * NumWorkgroups.x), with a workspace also those behind it by the number of workgroups. */
#ifndef SN_BACKENDS_SPIRV_SPIRV_BACKEND_H
#define SN_BACKENDS_SPIRV_SPIRV_BACKEND_H

#include "backends/backend.h"

const sn_backend *sn_backend_spirv(void);

/* Looks at every module that is made; an error refuses it. NULL: nobody looks (only programs that link
 * backends/spirv/inspect have it). Thread-safe. */
SN_MUST sn_code sn_spirv_inspect(const uint32_t *words, size_t count, sn_arena *arena, sn_diags *diags)
    __attribute__((weak));

#endif
