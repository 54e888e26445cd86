//! What is on its way, as a server that is told has it.

use super::{Fake, none};
use crate::server::bridges::BridgeDrops;
use crate::server::message::Bytes;
use crate::server::topics::{LastValue, Level, LevelMeta, LevelWanted, TopicNode, Value};
use crate::server::traces::{Chunk, ChunkMeta, TraceStatus};
use crate::server::*;
use crate::{Failure, Record, Stamp};

impl Topics for Fake {
    fn level(&self, wanted: &LevelWanted) -> Result<Level, Failure> {
        let names = ["humidity", "temperature"].into_iter();
        let after = wanted.after.as_deref().unwrap_or("");
        let nodes: Vec<TopicNode> = names
            .filter(|name| *name > after)
            .take(wanted.limit)
            .map(|name| TopicNode {
                name: name.into(),
                topic: match &wanted.under {
                    Some(under) => format!("{under}/{name}"),
                    None => name.into(),
                },
                children: 0,
                messages: 1,
                rate: 0.1,
                bytes_rate: 0.2,
                retained: false,
                last_at: None,
            })
            .collect();
        let last = nodes.last().filter(|_| nodes.len() == wanted.limit);
        let meta = LevelMeta {
            after: last.map(|node| node.name.clone()),
            sampled: false,
            since: Stamp::from_millis(0),
        };
        Ok(Level { data: nodes, meta })
    }

    fn seen(&self, topic: &str) -> Result<Option<LastValue>, Failure> {
        // The tree may be another's until somebody lets it go.
        if topic == "slow" {
            let asked = self.asked.lock().unwrap().take();
            asked.unwrap().send(()).unwrap();
            self.let_go.lock().unwrap().take().unwrap().recv().unwrap();
        }
        Ok(None)
    }

    fn kept(&self, topic: String) -> Answer<'_, LastValue> {
        Box::pin(async move {
            let value = Value {
                payload: Bytes(b"hi".to_vec()),
                size: 2,
                truncated: false,
                qos: 1,
                retain: false,
                at: None,
                from_clientid: None,
                properties: None,
            };
            let history = vec![value.clone()];
            Ok(LastValue {
                topic,
                value,
                history,
            })
        })
    }
}

impl Slow for Fake {
    fn slow(&self) -> Answer<'_, Vec<SlowSubscription>> {
        Box::pin(async { Ok(self.slow.lock().unwrap().clone()) })
    }

    fn forget_slow(&self) {
        self.slow.lock().unwrap().clear();
    }
}

impl Traces for Fake {
    fn traces(&self) -> Result<Vec<Trace>, Failure> {
        Ok(self.traces.lock().unwrap().values().cloned().collect())
    }

    fn trace(&self, name: &str) -> Result<Trace, Failure> {
        let traces = self.traces.lock().unwrap();
        traces.get(name).cloned().ok_or_else(|| none("trace"))
    }

    fn start_trace(&self, new: NewTrace, record: &Record) -> Result<Trace, Failure> {
        let trace = Trace {
            name: new.name,
            kind: new.kind,
            value: new.value,
            status: TraceStatus::Running,
            start_at: new.start_at.unwrap_or(Stamp::from_millis(0)),
            end_at: new.end_at.unwrap_or(Stamp::from_millis(1)),
            payload_encode: new.payload_encode,
            size: 0,
            lost: 0,
        };
        record.done(None, Some(&trace))?;
        let mut traces = self.traces.lock().unwrap();
        traces.insert(trace.name.clone(), trace.clone());
        Ok(trace)
    }

    fn stop_trace(&self, name: &str, record: &Record) -> Result<Trace, Failure> {
        let mut traces = self.traces.lock().unwrap();
        let trace = traces.get_mut(name).ok_or_else(|| none("trace"))?;
        record.acted()?;
        trace.status = TraceStatus::Stopped;
        Ok(trace.clone())
    }

    fn delete_trace(&self, name: &str, record: &Record) -> Result<(), Failure> {
        let mut traces = self.traces.lock().unwrap();
        let trace = traces.remove(name).ok_or_else(|| none("trace"))?;
        record.done(Some(&trace), None)
    }

    fn read_trace(&self, name: &str, position: u64, bytes: usize) -> Result<Chunk, Failure> {
        self.trace(name)?;
        let text = "{\"event\":\"received\"}\n";
        let start = usize::try_from(position).unwrap().min(text.len());
        let items = &text[start..text.len().min(start.saturating_add(bytes))];
        let read = u64::try_from(items.len()).unwrap();
        Ok(Chunk {
            items: items.into(),
            meta: ChunkMeta {
                position: position + read,
                bytes: read,
            },
        })
    }
}

impl Bridges for Fake {
    fn bridges(&self) -> Vec<Bridge> {
        vec![Bridge {
            name: "cloud".into(),
            state: "connected".into(),
            since: Stamp::from_millis(1),
            enabled: true,
            connected_at: Some(Stamp::from_millis(1)),
            down_since: None,
            addresses: vec!["192.0.2.7:1883".into()],
            address: Some("192.0.2.7:1883".into()),
            remote_clientid: "plant-7".into(),
            local_clientid: "bridge.cloud".into(),
            user: None,
            last_error: None,
            messages_out: 1,
            bytes_out: 2,
            messages_in: 3,
            bytes_in: 4,
            inflight_out: 5,
            inflight_in: 6,
            lag: 7,
            reconnects: 8,
            failures: 9,
            dropped: vec![BridgeDrops {
                reason: "loop".into(),
                count: 10,
            }],
        }]
    }

    fn order(&self, name: &str, order: BridgeOrder, record: &Record) -> Result<(), Failure> {
        if name != "cloud" {
            return Err(none("bridge"));
        }
        record.acted()?;
        self.ordered.lock().unwrap().push((name.into(), order));
        Ok(())
    }
}
