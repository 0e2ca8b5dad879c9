using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <summary>
/// Applies the same random steps to an <see cref="AbuseDevice"/> and to the <see cref="ReferenceDevice"/>, and compares after each: the
/// answer, what completed and how, every byte of every submitter's memory, the status, and whom GET and channels name next.
/// </summary>
internal sealed partial class ModelHarness : IDisposable
{
    private const byte Fresh = 0x5A;
    private const byte Poison = 0xDD;
    private const int Sectors = 64;

    private readonly AbuseModule _module = new(new AbuseModuleOptions { MaxAbuse = 1 });
    private readonly AbuseDevice _device;
    private readonly AbuseControl[] _controls;
    private readonly ReferenceDevice _reference = new();
    private readonly List<Submitted> _pending = [];
    private readonly List<(Memory<byte> Memory, string What)> _poisoned = [];
    private readonly List<ChannelPair> _channels = [];
    private readonly List<Held> _held = [];
    private readonly List<string> _story = [];
    private int _bytesSeed;

    internal ModelHarness()
    {
        _device = _module.Open(0);
        _controls = [_module.OpenControl(0), _device.OpenControl(BlockFeatures.Flush), _device.OpenControl(BlockFeatures.Flush | BlockFeatures.Fua)];
        _reference.AddOpener(BlockFeatures.Flush | BlockFeatures.Fua);
    }

    /// <summary>What was done, a line a step.</summary>
    internal string Story => string.Join(Environment.NewLine, _story);

    internal int Completions { get; private set; }

    public void Dispose()
    {
        foreach (ChannelPair pair in _channels)
        {
            pair.Real.Dispose();
        }

        _module.Dispose();
    }

    /// <summary>One step, chosen by its numbers.</summary>
    internal void Step(ModelStep step)
    {
        switch (step.Kind % 32)
        {
            case 0: SetStatus(step, sensible: false); break;
            case 1 or 2: SetStatus(step, sensible: true); break;
            case 3: MaybeReset(step); break;
            case 4: Resize(step); break;
            case 5: Cancel(step); break;
            case 6 or 7: OpenOrCloseChannel(step); break;
            case >= 8 and < 12: ChannelRead(step); break;
            case >= 12 and < 15: ChannelAnswer(step); break;
            case 15: ChannelAbandon(step); break;
            case >= 16 and < 20: Get(step); break;
            case >= 20 and < 23: Put(step); break;
            default: Submit(step); break;
        }

        Compare();
    }

    /// <summary>The end: everything is failed, and no memory was touched after its bio completed.</summary>
    internal void Finish()
    {
        Tell("unload");
        _reference.Reset();
        _module.Dispose();
        CompareCompletions();
        Check(_pending.Count, 0, "still pending after unloading");
        foreach ((Memory<byte> memory, string what) in _poisoned)
        {
            Check(memory.Span.IndexOfAnyExcept(Poison), -1, $"memory of {what} was touched after it completed (B2)");
        }
    }

    private void Tell(string line) => _story.Add($"{_story.Count}: {line}");

    private void Check<T>(T actual, T expected, string what)
    {
        if (!EqualityComparer<T>.Default.Equals(actual, expected))
        {
            throw new ModelMismatchException($"{what}: expected {expected}, but was {actual}{Environment.NewLine}{Story}");
        }
    }

    private byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        new Random(++_bytesSeed).NextBytes(bytes);
        return bytes;
    }

    private void Compare()
    {
        CompareCompletions();
        Errno error = _controls[0].GetStatus(out AbuseInfo info);
        Check(error, Errno.None, "GET_STATUS");
        Check(info, _reference.Status(), "status");
        foreach (AbuseControl control in _controls)
        {
            Check(control.Poll(), _reference.Head(control.Takes) is not null, "poll");
        }
    }

    private void CompareCompletions()
    {
        for (int i = _pending.Count - 1; i >= 0; i--)
        {
            Submitted submitted = _pending[i];
            ReferenceBio bio = submitted.Bio;
            Check(submitted.Task.IsCompleted, bio.Result != BioResult.Pending, $"completion of {submitted.What}");
            Check(submitted.Memory.Span.SequenceEqual(bio.Memory), true, $"memory of {submitted.What}");
            if (submitted.Task.IsCompleted)
            {
                Check(submitted.Task.Result, bio.Result, $"result of {submitted.What}");
                submitted.Memory.Span.Fill(Poison);
                _poisoned.Add((submitted.Memory, submitted.What));
                _pending.RemoveAt(i);
                submitted.Cancellation.Dispose();
                Completions++;
            }
        }
    }

    private void Submit(ModelStep step)
    {
        BioOp op = (step.A % 12) switch { < 5 => BioOp.Read, < 9 => BioOp.Write, 9 => BioOp.Flush, 10 => BioOp.Discard, _ => BioOp.WriteZeroes };
        bool fua = op is BioOp.Write or BioOp.WriteZeroes && step.C % 5 == 0;
        bool frontEnd = step.C % 3 == 0;
        long offset = op == BioOp.Flush ? 0 : step.B % (Sectors + 4) * 512L;
        int sectors = step.C % 11 == 0 && op == BioOp.Write ? 0 : 1 + (step.C % 20);
        int[] segments = Segments(step, op is BioOp.Read or BioOp.Write ? sectors * 512 : 0);
        byte[] content = op == BioOp.Write ? Bytes(segments.Sum()) : [.. Enumerable.Repeat(Fresh, segments.Sum())];
        byte[] memory = [.. content];
        long length = op switch { BioOp.Flush => 0, BioOp.Read or BioOp.Write => memory.Length, _ => sectors * 512L };
        var bio = new ReferenceBio
        {
            Op = op,
            Offset = offset,
            Length = length,
            Fua = fua,
            IsFrontEnd = frontEnd,
            Vectors = [.. segments.SelectMany(Cut)],
            Memory = content,
        };
        string what = $"{(frontEnd ? "front end's " : "")}{op} {length}@{offset}{(fua ? " FUA" : "")} [{string.Join(',', bio.Vectors)}]";
        Tell($"submit {what}");
        var cancellation = new CancellationTokenSource();
        Bio real = op switch
        {
            BioOp.Read => Bio.Read(offset, Pieces(memory, segments)),
            BioOp.Write => Bio.Write(offset, Pieces(memory, segments), fua),
            BioOp.Flush => Bio.Flush(),
            BioOp.Discard => Bio.Discard(offset, length),
            _ => Bio.WriteZeroes(offset, length, fua),
        };
        ValueTask<BioResult> task = frontEnd
            ? AwaitableSubmission.SubmitAsync(_device.Queue, real, waitsForCredit: true, cancellation.Token)
            : _device.SubmitAsync(real, cancellation.Token);
        _reference.Submit(bio);
        _pending.Add(new Submitted(bio, task, memory, cancellation, what));
    }

    private static int[] Segments(ModelStep step, int length)
    {
        if (length == 0)
        {
            return [];
        }

        int cut = step.B % 3 == 0 ? Math.Min(length, 1 + (step.A * 13 % length)) : length;
        return cut == length ? [length] : [cut, length - cut];
    }

    private static IEnumerable<int> Cut(int length)
    {
        for (; length > 0; length -= 4096)
        {
            yield return Math.Min(length, 4096);
        }
    }

    private static Memory<byte>[] Pieces(Memory<byte> memory, int[] segments)
    {
        var pieces = new List<Memory<byte>>();
        foreach (int length in segments)
        {
            pieces.Add(memory[..length]);
            memory = memory[length..];
        }

        return [.. pieces];
    }

    private void Cancel(ModelStep step)
    {
        if (_pending.Count == 0)
        {
            return;
        }

        Submitted submitted = _pending[step.A % _pending.Count];
        Tell($"cancel {submitted.What}");
        _reference.Cancel(submitted.Bio);
        submitted.Cancellation.Cancel();
    }

    private void SetStatus(ModelStep step, bool sensible)
    {
        AbuseInfo info = sensible
            ? new AbuseInfo
            {
                Size = _reference.Configured ? _reference.Size : step.C % 9 == 0 ? 0 : Sectors * 512UL,
                BlockSize = _reference.Configured ? _reference.BlockSize : step.B % 4 == 0 ? 4096u : 512u,
                MaxQueue = (uint)(step.A % 12),
                Flags = (_reference.Configured ? AbuseFlags.Reconnect : 0) | (step.B % 7 == 0 ? AbuseFlags.ReadOnly : 0),
            }
            : new AbuseInfo
            {
                Size = step.A % 5 == 0 ? ulong.MaxValue - (ulong)(step.B % 3) : (ulong)(step.A % 4 * 512 * Sectors / 2) + (ulong)(step.B % 3 * 256),
                BlockSize = (uint)(step.C % 6 * 512),
                MaxQueue = (uint)(step.B % 4 * 256 + (step.A % 3)),
                Flags = (AbuseFlags)(uint)(step.C % 4),
            };
        AbuseControl control = _controls[step.C % _controls.Length];
        Tell($"SET_STATUS {info}, takes {control.Takes}");
        Check(control.SetStatus(info), _reference.SetStatus(info), "SET_STATUS");
    }

    private void MaybeReset(ModelStep step)
    {
        if (step.A % 3 != 0)
        {
            return;
        }

        Tell("RESET");
        _reference.Reset();
        Check(_controls[step.B % _controls.Length].Reset(), Errno.None, "RESET");
    }

    private void Resize(ModelStep step)
    {
        long size = (step.A % 5) switch { 0 => -512, 1 => 100, _ => step.B % (2 * Sectors) * 512L };
        Tell($"resize {size}");
        Check(_device.Resize(size), _reference.Resize(size), "Resize");
    }

    private sealed record Submitted(ReferenceBio Bio, ValueTask<BioResult> Task, Memory<byte> Memory, CancellationTokenSource Cancellation, string What);

    private sealed record ChannelPair(BioChannel Real, ReferenceChannel Reference)
    {
        internal bool WasClosed { get; set; }
    }

    private sealed record Held(BioRequest Request, ReferenceBio Bio, ChannelPair Channel, byte[] Bytes)
    {
        internal bool Answered { get; set; }
    }
}

/// <summary>The device and the reference differ. Not an assertion, because FsCheck tries many sequences while it shrinks one.</summary>
internal sealed class ModelMismatchException(string message) : Exception(message);

/// <summary>A step in numbers, so that FsCheck can make and shrink it.</summary>
internal readonly record struct ModelStep(int Kind, int A, int B, int C);
