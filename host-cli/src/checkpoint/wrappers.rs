//! Names without the modules that training wraps around others: `h.0._orig_mod.attn.weight` is `h.0.attn.weight`.

use std::borrow::Cow;

/// Modules that stand for the one inside them, wherever they stand: `torch.compile`, data-parallel training and its
/// sharded form, activation checkpointing, Lightning Fabric.
const WRAPPERS: [&str; 6] =
    ["_orig_mod", "module", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module", "_forward_module"];

/// What PEFT puts around a model; two modules that mean something only together.
const PEFT: [&str; 2] = ["base_model", "model"];

/// `name` without wrappers.
pub fn unwrapped(name: &str) -> Cow<'_, str> {
    let is_wrapped = WRAPPERS.iter().chain(&PEFT[..1]).any(|wrapper| name.contains(wrapper));
    if is_wrapped { Cow::Owned(split(name).0.join(".")) } else { Cow::Borrowed(name) }
}

/// The wrappers of a name, outermost first.
pub fn wrappers(name: &str) -> Vec<&str> {
    split(name).1
}

/// The modules of a name and its wrappers. What a name ends with is no wrapper.
fn split(name: &str) -> (Vec<&str>, Vec<&str>) {
    let parts: Vec<&str> = name.split('.').collect();
    let (mut kept, mut taken) = (Vec::with_capacity(parts.len()), Vec::new());
    let mut rest = parts.as_slice();
    while let [part, inner @ ..] = rest {
        let n = match inner {
            [] => 0,
            [next, _, ..] if [*part, *next] == PEFT => 2,
            _ => usize::from(WRAPPERS.contains(part)),
        };
        match n {
            0 => kept.push(*part),
            _ => taken.extend(&rest[..n]),
        }
        rest = &rest[n.max(1)..];
    }
    (kept, taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_taken_off_wherever_they_stand() {
        let cases = [
            ("transformer.h.0._orig_mod.attn.c_attn.weight", "transformer.h.0.attn.c_attn.weight"),
            ("module._orig_mod.wte.weight", "wte.weight"),
            ("_fsdp_wrapped_module.h.1._fsdp_wrapped_module._checkpoint_wrapped_module.ln_1.bias", "h.1.ln_1.bias"),
            ("base_model.model.transformer.wpe.weight", "transformer.wpe.weight"),
            ("base_model.model._orig_mod.lm_head.weight", "lm_head.weight"),
            ("model.wte.weight", "model.wte.weight"),
            ("base_model.model", "base_model.model"),
            ("h.0.module", "h.0.module"),
            ("h.0.submodule.weight", "h.0.submodule.weight"),
            ("", ""),
        ];
        for (name, inner) in cases {
            assert_eq!(unwrapped(name), inner);
        }
        assert_eq!(wrappers("module.h.0._orig_mod.x"), ["module", "_orig_mod"]);
    }
}
