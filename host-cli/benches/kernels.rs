//! Products of every kernel that this processor has: `cargo bench -p emberlm --bench kernels`.

use divan::Bencher;
use divan::counter::ItemsCount;
use emberlm::engine::kernel::HostKernel;
use emberlm_core::format::Format;
use emberlm_core::kernel::conformance::{Product, Random, Width};

const N_IN: usize = 768;
const N_ROWS: usize = 2304;

fn main() {
    divan::main();
}

/// A kernel by its place among those of this processor, the weights, the activations, and the positions.
type Case = (usize, Format, Width, usize);

fn cases() -> impl Iterator<Item = Case> {
    let kernels = 0..HostKernel::all().count();
    kernels.flat_map(|kernel| {
        [Format::Q8, Format::Q4].into_iter().flat_map(move |format| {
            [Width::I16, Width::I8]
                .into_iter()
                .flat_map(move |width| [1, 4, 256].into_iter().map(move |n| (kernel, format, width, n)))
        })
    })
}

/// What a case is called.
struct Named(Case);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kernel, format, width, n) = self.0;
        let kernel = HostKernel::all().nth(kernel).map_or("none", HostKernel::name);
        write!(f, "{kernel} {} x {}, {n} positions", format.name(), width.name())
    }
}

/// Multiply-accumulates are what is counted.
#[divan::bench(args = cases().map(Named))]
fn product(bencher: Bencher<'_, '_>, Named((kernel, format, width, n)): &Named) {
    let kernel = HostKernel::all().nth(*kernel).expect("a kernel of this processor");
    let product = Product::new(*format, N_IN, N_ROWS, *n, &mut Random::default());
    let inputs = product.inputs(&kernel, *width);
    let mut out = vec![0.0; n * N_ROWS];
    bencher
        .counter(ItemsCount::new(n * N_IN * N_ROWS))
        .bench_local(|| product.multiply(&mut out, &kernel, &inputs, *width, N_ROWS));
}
