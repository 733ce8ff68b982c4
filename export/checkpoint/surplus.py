"""Names a checkpoint holds beyond the weights: which are known to do no harm."""

import re
from collections.abc import Iterable

# Averages of the weights, constants, the training schedule, what only training or scoring needs,
# and the empty tensors that mark a model as v-prediction or zero terminal SNR.
_HARMLESS = re.compile(
    r"^model_ema\.|position_ids$|logit_scale$"
    r"|^(betas|alphas_cumprod|alphas_cumprod_prev|sqrt_\w+|log_one_minus_alphas_cumprod"
    r"|posterior_\w+|logvar|lvlb_weights|denoiser\.\w+)$"
    r"|^(first_stage_model\.)?loss\.|^embedding_manager\."
    r"|^(conditioner\.embedders\.0|cond_stage_model)\.transformer\.text_projection\.weight$"
    r"|^(v_pred|ztsnr)$"
)


def split_surplus(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(harmless, unknown), both sorted. A folder's names start with the component and a slash."""
    harmless: list[str] = []
    unknown: list[str] = []
    for name in sorted(names):
        (harmless if _HARMLESS.search(name.rpartition("/")[2]) else unknown).append(name)
    return tuple(harmless), tuple(unknown)
