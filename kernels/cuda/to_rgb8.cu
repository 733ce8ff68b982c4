// The VAE's pictures to bytes: kernels/to_rgb8.py. image [pictures, 3, area] in [-1, 1], pixels
// [pictures, area, 3], broken [pictures]; grid.y is the picture. A picture with a value that is not
// finite gets a 1 in `broken`, which nothing else writes: the caller clears it.
#include "device.h"
#include "row.cuh"

__device__ inline unsigned char level(float value, int round_half_even) {
    float v = __fadd_rn(__fmul_rn(value, 0.5f), 0.5f);
    v = v > 0.0f ? v : 0.0f;  // NaN is not larger
    v = v < 1.0f ? v : 1.0f;
    v = __fmul_rn(v, 255.0f);
    return (unsigned char)(round_half_even ? rintf(v) : v);
}

// NaN and infinity less themselves are NaN.
__device__ inline bool finite(float value) { return value - value == 0.0f; }

template <typename T>
__device__ inline void to_rgb8(const T* image, unsigned char* pixels, unsigned int* broken,
                               size_t area, int round_half_even) {
    const T* from = image + (size_t)blockIdx.y * 3 * area;
    unsigned char* to = pixels + (size_t)blockIdx.y * 3 * area;
    const size_t stride = (size_t)gridDim.x * blockDim.x * WIDTH;
    for (size_t at = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * WIDTH; at < area; at += stride) {
        const int live = area - at < WIDTH ? (int)(area - at) : WIDTH;
        const bool whole = aligned(area) && live == WIDTH;
        unsigned char bytes[3 * WIDTH];
        for (int channel = 0; channel < 3; ++channel) {
            const T* plane = from + channel * area + at;
            const Eight values = whole ? load(plane) : load_some(plane, live);
            for (int i = 0; i < WIDTH; ++i) {
                if (!finite(values.of[i])) broken[blockIdx.y] = 1;
                bytes[3 * i + channel] = level(values.of[i], round_half_even);
            }
        }
        if (whole) {
            unsigned long long words[3];
            memcpy(words, bytes, sizeof words);
            for (int i = 0; i < 3; ++i) ((unsigned long long*)(to + 3 * at))[i] = words[i];
        } else {
            for (int i = 0; i < 3 * live; ++i) to[3 * at + i] = bytes[i];
        }
    }
}

extern "C" __global__ void to_rgb8_float(const float* image, unsigned char* pixels,
                                         unsigned int* broken, size_t area, int round_half_even) {
    to_rgb8(image, pixels, broken, area, round_half_even);
}

extern "C" __global__ void to_rgb8_half(const __half* image, unsigned char* pixels,
                                        unsigned int* broken, size_t area, int round_half_even) {
    to_rgb8(image, pixels, broken, area, round_half_even);
}
