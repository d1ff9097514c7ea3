//! Broken transports fail the rule that they break: the suite can fail.

mod transport;

use blaze_transport::{Endpoint, Transport};
use blaze_transport_conformance::{Harness, rules, transport_conformance};

use transport::{Fault, FaultyTransport};

struct Suspect(FaultyTransport);

impl Suspect {
    fn new(fault: Fault) -> Self {
        Self(FaultyTransport::new(fault))
    }
}

impl Harness for Suspect {
    fn transport(&self) -> Box<dyn Transport> {
        Box::new(self.0.clone())
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::memory("suspect").unwrap()
    }

    fn in_flight_bytes_max(&self) -> usize {
        4 * 1024 * 1024
    }
}

/// Without a fault the wrapper keeps every rule, so what fails below fails by its fault.
mod without_fault {
    use super::*;

    transport_conformance!(Suspect::new(Fault::None));
}

/// One test per fault: the rule must panic.
macro_rules! faults_are_found {
    ($($name:ident: $fault:ident breaks $rule:ident;)*) => {
        $(
            // Time passes only while all tasks wait, so that no deadline is really waited for.
            #[tokio::test(start_paused = true)]
            async fn $name() {
                let harness = Suspect::new(Fault::$fault);
                let checking = tokio::spawn(async move { rules::$rule(&harness).await });
                let failure = checking.await.expect_err("the rule must notice the fault");
                assert!(failure.is_panic());
            }
        )*
    };
}

faults_are_found! {
    finds_absence_reported_as_final: AbsenceIsFinal breaks connecting_to_nothing_is_retryable;
    finds_piled_up_listeners: ListenersPileUp breaks second_listener_is_refused;
    finds_endpoint_kept_by_close: CloseKeepsEndpoint breaks closed_listener_frees_its_endpoint;
    finds_endpoint_kept_by_drop: CloseKeepsEndpoint breaks dropped_listener_frees_its_endpoint;
    finds_connection_lost_by_dropped_accept: AcceptLosesWhenDropped breaks accept_is_cancel_safe;
    finds_dropped_frame: ThirdFrameIsDropped breaks frames_arrive_whole_and_in_order;
    finds_cut_frame: LongFramesAreCut breaks frames_arrive_whole_and_in_order;
    finds_flipped_bit: BitIsFlipped breaks frames_arrive_whole_and_in_order;
    finds_swapped_frames: NeighboursAreSwapped breaks many_small_frames_arrive;
    finds_lower_limit: LargestIsRefused breaks largest_frames_arrive;
    finds_swallowed_refusal: RefusalIsSwallowed breaks too_large_frame_is_refused;
    finds_swallowed_small_refusal: RefusalIsSwallowed breaks too_small_frame_is_refused;
    finds_refusal_that_breaks: RefusalBreaks breaks too_large_frame_is_refused;
    finds_frames_held_back: FlushHoldsBack breaks flush_delivers;
    finds_overtaking_buffer: BufferedOvertakes breaks buffered_keeps_the_order;
    finds_frame_lost_by_dropped_recv: RecvLosesWhenDropped breaks recv_is_cancel_safe;
    finds_frames_repeated_by_dropped_flush: FlushRepeatsWhenDropped breaks flush_is_cancel_safe;
    finds_frames_lost_by_dropped_flush: FlushLosesWhenDropped breaks flush_is_cancel_safe;
    finds_unbounded_buffer: QueueIsUnbounded breaks flush_waits_for_the_receiver;
    finds_break_reported_as_clean: BreakIsClean breaks drop_without_finish_is_an_error;
    finds_clean_end_reported_as_break: EndIsBreak breaks finish_ends_with_none;
    finds_end_that_passes: EndPasses breaks finish_ends_with_none;
    finds_queue_forgotten_by_finish: FinishForgetsQueue breaks finish_delivers_what_was_fed;
    finds_finish_that_closes_both: FinishClosesBoth breaks finish_is_half_close;
    finds_feeding_after_finish: RefusalIsSwallowed breaks nothing_is_fed_after_finish;
    finds_ignored_departure: DepartureIsIgnored breaks sending_to_a_gone_peer_fails;
}
