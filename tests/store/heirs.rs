//! That heirs follow costs little: a change of their source is in force for all of them at once.

use roster_test_support::followed::{Followed, Shape, WrittenDown};
use roster_test_support::sample::{ROUNDS, Sample};

/// Prints both times (`cargo test -- --nocapture`); `make bench` measures more and bigger
/// organizations.
#[tokio::test]
async fn a_change_of_a_source_takes_no_longer_than_rewriting_all_heirs_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for shape in [Shape::Star, Shape::Lines(32), Shape::Tree(10)] {
        let mut followed = Followed::new(folder.path(), shape, 2000).await;
        let mut written_down = WrittenDown::new(folder.path(), 2000).await;
        let (mut at_source, mut everywhere) = (vec![], vec![]);
        for round in 1..=ROUNDS {
            at_source.push(followed.change(round).await);
            everywhere.push(written_down.change(round).await);
        }
        let (at_source, everywhere) = (Sample::new(at_source), Sample::new(everywhere));
        println!("{shape:?}: the source {}, all heirs {}", at_source.text(), everywhere.text());
        assert!(
            at_source.ratio(&everywhere) <= 1.5,
            "{shape:?}: {at_source:?} against {everywhere:?}"
        );
    }
}
