namespace Abuse.Core.Tests;

/// <content>Who serves the model's device.</content>
internal sealed partial class UblkModel
{
    /// <summary>A target that does some bios at once, and others when it is told to.</summary>
    private sealed class LazyServer(MemoryTarget store) : BlockTarget
    {
        private readonly List<Action> _held = [];

        internal volatile bool IsLazy;
        internal volatile bool IsDead;

        public override BlockGeometry Geometry => store.Geometry;

        public override BioResult Execute(in BioHead bio, BioSpans data) =>
            IsDead ? BioResult.IoError : IsLazy || bio.Offset / BlockSize % 3 == 0 ? BioResult.Pending : store.Execute(bio, data);

        public override ValueTask<BioResult> ExecuteAsync(BioHead bio, Memory<byte> data, CancellationToken overtaken)
        {
            var done = new TaskCompletionSource<BioResult>(TaskCreationOptions.RunContinuationsAsynchronously);
            Action act = () => done.SetResult(IsDead || overtaken.IsCancellationRequested ? BioResult.IoError : store.Execute(bio, new BioSpans(data.Span)));
            lock (_held)
            {
                if (IsLazy)
                {
                    _held.Add(act);
                    return new ValueTask<BioResult>(done.Task);
                }
            }

            ThreadPool.QueueUserWorkItem(_ => act());
            return new ValueTask<BioResult>(done.Task);
        }

        internal void Answer(Random random)
        {
            Action? act = null;
            lock (_held)
            {
                if (_held.Count != 0)
                {
                    int which = random.Next(_held.Count);
                    act = _held[which];
                    _held.RemoveAt(which);
                }
            }

            act?.Invoke();
        }

        internal void AnswerAll()
        {
            IsLazy = false;
            Action[] all;
            lock (_held)
            {
                all = [.. _held];
                _held.Clear();
            }

            Array.ForEach(all, static act => act());
        }
    }
}
