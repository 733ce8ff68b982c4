// Plays a CUDA device on a processor, so that a kernel's source can be compiled as C++ and proved
// against its NumPy twin where there is no GPU. Blocks and threads run one after another, which is
// all that kernels without shared memory and atomics can tell. Compile with -ffp-contract=off.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define __device__
#define __global__
#define __builtin_assume(claim) assert(claim)

using std::fabs;
using std::log;
using std::sin;
using std::size_t;
using std::sqrt;

struct Place {
    unsigned int x, y, z;
};
static Place threadIdx, blockIdx, blockDim, gridDim;

typedef _Float16 __half;
struct alignas(16) uint4 {
    unsigned int x, y, z, w;
};

static inline void __stcg(uint4* to, uint4 value) { std::memcpy(to, &value, sizeof value); }
static inline float __half2float(__half value) { return (float)value; }
static inline __half __float2half_rn(float value) { return (__half)value; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline unsigned int __umulhi(unsigned int a, unsigned int b) {
    return (unsigned int)(((std::uint64_t)a * b) >> 32);
}

// Call `kernel` once for each thread of a grid of gx by gy blocks with `threads` threads each.
template <typename Kernel>
static void play(unsigned int gx, unsigned int gy, unsigned int threads, Kernel kernel) {
    gridDim = {gx, gy, 1};
    blockDim = {threads, 1, 1};
    for (unsigned int y = 0; y < gy; ++y)
        for (unsigned int x = 0; x < gx; ++x)
            for (unsigned int t = 0; t < threads; ++t) {
                blockIdx = {x, y, 0};
                threadIdx = {t, 0, 0};
                kernel();
            }
}
