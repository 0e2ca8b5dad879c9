using System.Runtime.InteropServices;
using Abuse.Core.Abi;

namespace Abuse.Core.Tests;

/// <summary>The servers of a stress run: good ones, ones that hang, vanish, abandon, fail, and raw ones of 2009.</summary>
internal static class StressServers
{
    /// <summary>A channel with some readers; now and then it is disposed with bios in hand and opened again.</summary>
    internal static async Task ServeChannelAsync(StressWorld world, int readers, bool redelivers)
    {
        Random random = world.NewRandom();
        while (!world.Stopping)
        {
            using BioChannel channel = Open(world, redelivers);
            Task[] all = [.. Enumerable.Range(0, readers).Select(_ => Task.Run(() => ReadAsync(world, channel)))];
            await Task.WhenAny(Task.WhenAll(all), Task.Delay(random.Next(5, 60)));
            channel.Dispose();
            world.Count("channels disposed");
            await Task.WhenAll(all);
        }
    }

    private static BioChannel Open(StressWorld world, bool redelivers) => world.Device.Control.OpenChannel(
        new BioChannelOptions { RedeliverAfter = redelivers ? TimeSpan.FromMilliseconds(5) : null, ByteBudget = 16 << 10 });

    private static async Task ReadAsync(StressWorld world, BioChannel channel)
    {
        Random random = world.NewRandom();
        while (await channel.Reader.WaitToReadAsync())
        {
            while (channel.Reader.TryRead(out BioRequest request))
            {
                await AnswerAsync(world, channel, request, random);
            }
        }
    }

    private static async Task AnswerAsync(StressWorld world, BioChannel channel, BioRequest request, Random random)
    {
        int mood = random.Next(100);
        byte[] seen = request.Data.ToArray();
        if (mood < 4)
        {
            world.Count("abandoned");
            request.Abandon();
            return;
        }

        if (mood < 6)
        {
            // Vanishes with it: neither answered nor abandoned, ever.
            world.Count("vanished");
            return;
        }

        if (mood < 12)
        {
            await Task.Delay(random.Next(12));
            CheckStable(world, request, seen);
            if (request.Op == BioOp.Read && request.Overtaken.IsCancellationRequested)
            {
                // It wakes late and writes into what it still has: nobody may see that.
                request.Data.Span.Fill(0xEE);
            }
        }

        if (mood == 12)
        {
            world.Count($"media failures {request.Complete(BioResult.MediaFailure)}");
            return;
        }

        if (request.Op is BioOp.Read or BioOp.Write)
        {
            world.Store.Execute(request.Op, request.Offset, request.Head.Generation, request.Data.Span);
        }

        if (mood == 13)
        {
            // A loop over the writer must end whatever happens to the answer.
            await channel.Writer.WaitToWriteAsync();
            channel.Writer.TryWrite(new BioAnswer(request, BioResult.Ok));
            return;
        }

        world.Count($"answers {request.Complete(BioResult.Ok)}");
    }

    /// <summary>B3: a server's bytes stand still until it lets go, overtaken or not.</summary>
    private static void CheckStable(StressWorld world, BioRequest request, byte[] seen)
    {
        if (request.Op == BioOp.Write && !request.Data.Span.SequenceEqual(seen))
        {
            world.Fault("a delivery's bytes moved under its server (B3)");
        }

        world.Count(request.Overtaken.IsCancellationRequested ? "overtaken" : "slow");
    }

    /// <summary>A server of 2009: waits, fetches, and answers through its own memory; the store's generation is taken at the GET.</summary>
    internal static async Task ServeRawAsync(StressWorld world)
    {
        using AbuseControl control = world.Device.OpenControl();
        var data = new byte[FencedStore.BlockSize];
        var vectors = new byte[16];
        var memory = new UserMemoryMap();
        memory.Map(0x1000, vectors);
        memory.Map(0x10000, data);
        MemoryMarshal.Write(vectors, new AbuseVector { Address = 0x10000 });
        try
        {
            while (await control.WaitAsync(world.Stop))
            {
                var header = new AbuseTransferHeader();
                if (control.GetBio(ref header) != Errno.None)
                {
                    continue;
                }

                // Writes reach a raw server only with the PUT that acknowledges them (D6), too late for a store: it answers reads alone.
                if (header.Command == AbuseCommand.Read && header.VectorCount == 1)
                {
                    world.Store.Execute(BioOp.Read, (long)header.Sector * 512, 0, data);
                    header.TransferAddress = 0x1000;
                    world.Count($"raw answers {control.Ioctl(AbuseIoctl.PutBio, MemoryMarshal.AsBytes(new Span<AbuseTransferHeader>(ref header)), memory)}");
                }
                else
                {
                    await Task.Delay(1);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }

    /// <summary>Resets and configures again, and declares device failures.</summary>
    internal static async Task DisturbAsync(StressWorld world, AbuseInfo info)
    {
        Random random = world.NewRandom();
        while (!world.Stopping)
        {
            await Task.Delay(random.Next(5, 80));
            switch (random.Next(4))
            {
                case 0:
                    world.Device.Control.Reset();
                    await Task.Delay(random.Next(3));
                    Expect(world, world.Device.Control.SetStatus(info), Errno.None);
                    world.Count("resets");
                    break;
                case 1:
                    world.Device.Control.PutBio(new AbuseTransferHeader { Result = AbuseAnswer.DeviceFailure }, [], new UserMemoryMap());
                    world.Count("device failures");
                    break;
                default:
                    AbuseInfo changed = info with { MaxQueue = (uint)random.Next(1, 40), Flags = AbuseFlags.Reconnect };
                    Errno error = world.Device.Control.SetStatus(changed);
                    if (error is not (Errno.None or Errno.EINVAL))
                    {
                        world.Fault($"a reconnect gave {error}");
                    }

                    break;
            }
        }
    }

    private static void Expect(StressWorld world, Errno actual, Errno expected)
    {
        if (actual != expected)
        {
            world.Fault($"SET_STATUS gave {actual}");
        }
    }
}
