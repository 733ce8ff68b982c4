// Rows of a network's input and output: float32 or float16, eight elements at a time.
#pragma once

constexpr int WIDTH = 8;  // elements a thread takes: 32 bytes of float32, 16 of float16

struct Eight {
    float of[WIDTH];
};

// Whether every row of `count` elements begins where 16 bytes may be read at once.
__device__ inline bool aligned(size_t count) { return count % WIDTH == 0; }

__device__ inline Eight load(const float* from) {
    Eight out;
    const uint4 pack[2] = {((const uint4*)from)[0], ((const uint4*)from)[1]};
    memcpy(out.of, pack, sizeof pack);
    return out;
}

// 16 bytes at once, which a plain assignment need not be: the compiler may split it. They go to L2,
// where the network or the next step finds them; no thread of this launch reads them again.
__device__ inline void store(float* to, const Eight& values) {
    uint4 pack[2];
    memcpy(pack, values.of, sizeof pack);
    __stcg((uint4*)to, pack[0]);
    __stcg((uint4*)to + 1, pack[1]);
}

__device__ inline Eight load(const __half* from) {
    const uint4 pack = *(const uint4*)from;
    __half half[WIDTH];
    memcpy(half, &pack, sizeof pack);
    Eight out;
    for (int i = 0; i < WIDTH; ++i) out.of[i] = __half2float(half[i]);
    return out;
}

__device__ inline void store(__half* to, const Eight& values) {
    __half half[WIDTH];
    for (int i = 0; i < WIDTH; ++i) half[i] = __float2half_rn(values.of[i]);
    uint4 pack;
    memcpy(&pack, half, sizeof pack);
    __stcg((uint4*)to, pack);
}

__device__ inline float widen(float value) { return value; }
__device__ inline float widen(__half value) { return __half2float(value); }
__device__ inline void narrow(float* to, float value) { *to = value; }
__device__ inline void narrow(__half* to, float value) { *to = __float2half_rn(value); }

// The first `live` of eight elements; the tail of a row, or a row that is not aligned.
template <typename T>
__device__ inline Eight load_some(const T* from, int live) {
    Eight out = {};
    for (int i = 0; i < live; ++i) out.of[i] = widen(from[i]);
    return out;
}

template <typename T>
__device__ inline void store_some(T* to, const Eight& values, int live) {
    for (int i = 0; i < live; ++i) narrow(to + i, values.of[i]);
}

__device__ inline Eight scaled(const Eight& values, float by) {
    Eight out;
    for (int i = 0; i < WIDTH; ++i) out.of[i] = __fmul_rn(values.of[i], by);
    return out;
}

template <typename T>
__device__ inline Eight load_live(const T* from, int live, bool whole) {
    return whole ? load(from) : load_some(from, live);
}

template <typename T>
__device__ inline void store_live(T* to, const Eight& values, int live, bool whole) {
    if (whole)
        store(to, values);
    else
        store_some(to, values, live);
}
