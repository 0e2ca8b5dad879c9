using System.Runtime.CompilerServices;
using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>abuse.device.in_flight: one measurement a device that is there, and none of one that is not.</summary>
[TestFixture]
[NonParallelizable]
[CancelAfter(60_000)]
public sealed class InFlightTests
{
    private const string InFlight = "abuse.device.in_flight";

    [Test]
    public void It_is_what_is_pending_by_device_number_and_gone_with_the_device()
    {
        using var log = new MeterLog(InFlight);
        var module = new AbuseModule();
        AbuseDevice device = module.Open(901);
        AbuseDevice other = module.Open(902);
        device.Control.SetStatus(RawRig.Info());
        other.Control.SetStatus(RawRig.Info());
        var bios = new List<SubmittedBio>();
        for (int i = 0; i < 3; i++)
        {
            bios.Add(new SubmittedBio(device.SubmitAsync(Bio.Read(0, new byte[512])), []));
        }

        Assert.That(Of(log, 901, 902), Is.EquivalentTo(new[] { Line(3, 901), Line(0, 902) }));
        device.Control.PutBio(new AbuseTransferHeader { Result = AbuseAnswer.DeviceFailure }, [], new UserMemoryMap());
        Assert.That(bios.Select(static bio => bio.Result), Is.All.EqualTo(BioResult.DeviceFailure));
        Assert.That(Of(log, 901, 902), Is.EquivalentTo(new[] { Line(0, 901), Line(0, 902) }));
        module.Dispose();
        Assert.That(Of(log, 901, 902), Is.Empty);
    }

    [Test]
    public async Task What_runs_inline_counts()
    {
        using var log = new MeterLog(InFlight);
        string[] during = [];
        await using var target = new ScriptedTarget
        {
            Now = _ =>
            {
                during = Of(log, 903);
                return BioResult.Ok;
            },
        };
        using var module = new AbuseModule();
        AbuseDevice device = module.Open(903);
        device.Control.SetStatus(RawRig.Info());
        using BioAttachment attachment = device.Attach(target);
        Assert.That(await device.SubmitAsync(Bio.Read(0, new byte[512])), Is.EqualTo(BioResult.Ok));
        Assert.That(during, Is.EqualTo(new[] { Line(1, 903) }));
        Assert.That(Of(log, 903), Is.EqualTo(new[] { Line(0, 903) }));
    }

    [Test]
    public async Task A_device_that_was_disposed_is_gone_and_one_that_was_forgotten_goes_with_the_GC()
    {
        using var log = new MeterLog(InFlight);
        Forget();
        await Soon.Until(
            () =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
                return Of(log, 904).Length == 0;
            },
            "the device to be collected: the meter must not keep it alive");

        AbuseDevice standalone = AbuseDevice.Create(new NullTarget(1 << 20));
        int before = Of(log, 0).Length;
        await standalone.DisposeAsync();
        Assert.That(Of(log, 0), Has.Length.EqualTo(before - 1));

        [MethodImpl(MethodImplOptions.NoInlining)]
        void Forget()
        {
            AbuseDevice device = new AbuseModule().Open(904);
            Assert.That(Of(log, 904), Has.Length.EqualTo(1), $"{device} is measured while it lives");
        }
    }

    private static string Line(int value, int number) => $"in_flight {value} abuse.device.number={number}";

    private static string[] Of(MeterLog log, params int[] numbers) =>
        [.. log.Observe().Where(line => Array.Exists(numbers, number => line.EndsWith($"={number}", StringComparison.Ordinal)))];
}
