using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <summary>
/// One random life of a disk, and what must hold in it: every request ends once; one that succeeded has its effect, one that failed may
/// have had it, and nothing else changes a byte; a request fails only where something was done that may fail it.
/// </summary>
/// <remarks>Ranges that are in flight don't overlap, so that the model needs no order: each block has one request at a time.</remarks>
internal sealed partial class UblkModel : IAsyncDisposable
{
    private const int Blocks = 64;
    private const int BlockSize = 4096;

    private readonly Random _random;
    private readonly UblkWorld _world;
    private readonly MemoryTarget _store = new(Blocks * BlockSize);
    private readonly UblkRecovery _recovery;
    private readonly UblkBuffers _buffers;
    private readonly List<string> _story = [];
    private readonly List<Flight> _flights = [];

    /// <summary>What each block may hold: one content, or several after a write that failed.</summary>
    private readonly List<byte[]>[] _contents = [.. Enumerable.Range(0, Blocks).Select(static _ => new List<byte[]> { new byte[BlockSize] })];

    private UblkRig _rig = null!;
    private LazyServer _server = null!;
    private int _bytes;

    internal UblkModel(int seed)
    {
        _random = new Random(seed);
        _recovery = (UblkRecovery)_random.Next(4);
        _buffers = (UblkBuffers)_random.Next(2);
        _world = new UblkWorld { EventLimit = _random.Next(2) == 0 ? 1 + _random.Next(3) : 256 };
        _story.Add($"seed {seed}: {_buffers}, {_recovery}");
    }

    internal string Story => string.Join(Environment.NewLine, _story);

    internal int Requests { get; private set; }

    internal int Deaths { get; private set; }

    private UblkOptions Options => UblkRig.Options(_buffers, depth: 1 + (_bytes % 6), queues: 2) with
    {
        Recovery = _recovery,
        Identity = "the model",
        DrainTimeout = UblkRig.Short,
    };

    internal async Task LiveAsync()
    {
        _server = new LazyServer(_store);
        _rig = await UblkRig.StartAsync(AbuseDevice.Create(_server, new AbuseDeviceOptions { MaxQueue = 1 + _random.Next(8) }), Options, _world);
        for (int step = 0; step < 250; step++)
        {
            await StepAsync(_random.Next(40));
        }

        _server.AnswerAll();
        await SettleAsync();
        await ReadAllAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_rig is not null)
        {
            _server.AnswerAll();
            await _rig.DisposeAsync();
        }
    }

    private async Task StepAsync(int kind)
    {
        switch (kind)
        {
            case < 24:
                Issue();
                break;
            case < 34:
                _server.IsLazy = _random.Next(2) == 0;
                _server.Answer(_random);
                break;
            case 34:
                MayFail("the device fails");
                _rig.Device.Queue.FailAll(BioResult.DeviceFailure);
                break;
            case 35:
                await ResetAsync();
                break;
            case 36 when _recovery != UblkRecovery.None:
                await DieAsync();
                break;
            case 37 when _recovery is UblkRecovery.Queue or UblkRecovery.Reissue:
                await DetachAsync();
                break;
            default:
                await SettleAsync();
                break;
        }
    }

    private void Issue()
    {
        int first = _random.Next(Blocks);
        int count = 1 + _random.Next(4);
        if (first + count > Blocks || _flights.Any(flight => first < flight.First + flight.Count && flight.First < first + count))
        {
            return;
        }

        UblkOp op = _random.Next(8) switch { < 3 => UblkOp.Read, < 6 => UblkOp.Write, 6 => UblkOp.WriteZeroes, _ => UblkOp.Discard };
        byte[]? data = op == UblkOp.Write ? TestBytes.Of(++_bytes, count * BlockSize) : null;
        uint flags = op == UblkOp.Write && _random.Next(5) == 0 ? UblkAbi.IoFua : 0;
        _story.Add($"{op} {first}+{count}");
        _flights.Add(new Flight(_rig.Issue(op, first * 8, count * 8, data, flags, _random.Next(2)), first, count));
        Requests++;
    }

    /// <summary>From here on everything that is in flight is allowed to fail.</summary>
    private void MayFail(string why)
    {
        _story.Add(why);
        foreach (Flight flight in _flights)
        {
            flight.MayFail = true;
        }
    }

    /// <summary>Waits until it is shown: a disk that shows no size can't be recovered.</summary>
    private async Task ResetAsync()
    {
        MayFail("reset");
        UblkDeviceDouble kernel = _rig.Kernel;
        int dropped = kernel.CachesDropped;
        _rig.Device.Control.Reset();
        _rig.Device.Control.SetStatus(new AbuseInfo { Size = Blocks * BlockSize, BlockSize = 512, MaxQueue = 8 });
        await Soon.Until(() => kernel.CachesDropped > dropped && kernel.Sectors == Blocks * BlockSize / 512, "the reset is shown");
    }

    private async Task DieAsync()
    {
        Deaths++;
        if (_recovery != UblkRecovery.Reissue)
        {
            MayFail("the server dies");
        }

        _world.Kill(_rig.Process);
        Forget(_server);
        AbuseDevice dead = _rig.Device;
        _server = new LazyServer(_store);
        var next = new UblkRig(AbuseDevice.Create(_server), _world);
        _story.Add("another comes");
        await next.RecoverAsync(_rig.Disk.Id, Options);
        _rig = next;
        await dead.DisposeAsync();
    }

    /// <summary>A killed process's memory is gone, and with it what it would have done.</summary>
    private static void Forget(LazyServer server) => server.IsDead = true;

    private async Task DetachAsync()
    {
        _story.Add("detach and recover");
        Task detaching = _rig.Disk.DetachAsync();
        _server.AnswerAll();
        await detaching.InTime();
        await _rig.RecoverAsync(_rig.Device, Options);
    }

    /// <summary>Answers everything, and compares how it ended with how it may.</summary>
    private async Task SettleAsync()
    {
        _server.AnswerAll();
        foreach (Flight flight in _flights)
        {
            int result = await flight.Request.Task.InTime();
            _story.Add($"{flight.Request.Op} {flight.First}+{flight.Count}: {result}");
            if (result < 0 && !flight.MayFail)
            {
                throw new ModelMismatchException($"{flight.Request} failed with {result}, and nothing was done that may fail it");
            }

            Apply(flight, result >= 0);
        }

        _flights.Clear();
    }

    private void Apply(Flight flight, bool succeeded)
    {
        for (int i = 0; i < flight.Count; i++)
        {
            List<byte[]> contents = _contents[flight.First + i];
            ReadOnlySpan<byte> pages = flight.Request.HasData ? flight.Request.Data.AsSpan(i * BlockSize, BlockSize) : default;
            if (flight.Request.Op == UblkOp.Read)
            {
                if (succeeded)
                {
                    Narrow(contents, pages, flight.First + i);
                }

                continue;
            }

            if (succeeded)
            {
                contents.Clear();
            }

            contents.Add(flight.Request.Op == UblkOp.Write ? pages.ToArray() : new byte[BlockSize]);
        }
    }

    /// <summary>What was read is one of what may be there, and from then on it is there.</summary>
    private static void Narrow(List<byte[]> contents, ReadOnlySpan<byte> read, int block)
    {
        foreach (byte[] content in contents)
        {
            if (read.SequenceEqual(content))
            {
                contents.Clear();
                contents.Add(content);
                return;
            }
        }

        throw new ModelMismatchException($"block {block} holds none of the {contents.Count} contents that it may");
    }

    private async Task ReadAllAsync()
    {
        for (int block = 0; block < Blocks; block++)
        {
            Narrow(_contents[block], await _rig.ReadAsync(block * 8, BlockSize, queue: block % 2), block);
        }
    }

    private sealed record Flight(UblkRequest Request, int First, int Count)
    {
        internal bool MayFail { get; set; }
    }
}
