// What a kernel's source needs of its compiler: CUDA's own names, or host.h's in their place.
#pragma once
#ifdef __CUDACC__
#include <cuda_fp16.h>
#else
#include "host.h"
#endif
