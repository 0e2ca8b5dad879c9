using Abuse.Core.Abi;
using NUnit.Framework;

namespace Abuse.Core.Tests;

/// <summary>Section 4: the module.</summary>
[TestFixture]
public sealed class ModuleTests
{
    [Test]
    [SemanticsRow(Row.ModuleLoad)]
    public void With_max_abuse_0_there_are_8_devices_at_once()
    {
        using var module = new AbuseModule();
        Assert.That(module.Devices.Select(static device => device.Number), Is.EqualTo(Enumerable.Range(0, 8)));
    }

    [TestCase(8)]
    [TestCase(1000)]
    [TestCase((1 << 20) - 1)]
    [SemanticsRow(Row.ModuleLoad)]
    public void With_max_abuse_0_a_higher_block_device_is_made_when_it_is_opened(int number)
    {
        using var module = new AbuseModule();
        AbuseDevice device = module.Open(number);
        Assert.That(device.Number, Is.EqualTo(number));
        Assert.That(module.Open(number), Is.SameAs(device));
        Assert.That(module.Devices, Has.Count.EqualTo(9));
    }

    [Test]
    [SemanticsRow(Row.ModuleLoad)]
    public void With_max_abuse_n_there_are_exactly_n_and_none_is_made()
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxAbuse = 3 });
        Assert.That(module.Devices.Select(static device => device.Number), Is.EqualTo(Enumerable.Range(0, 3)));
        Assert.That(module.TryOpen(2, out _), Is.True);
        Assert.That(module.TryOpen(3, out _), Is.False);
        Assert.That(module.Devices, Has.Count.EqualTo(3));
    }

    [Test]
    [SemanticsRow(Row.ModuleLoad)]
    public void Two_modules_know_nothing_of_each_other()
    {
        using var one = new AbuseModule();
        using var other = new AbuseModule();
        one.Open(0).Control.SetStatus(RawRig.Info());
        Assert.That(other.Open(0).IsConfigured, Is.False);
    }

    [TestCase(0, 0)]
    [TestCase(1, 1)]
    [TestCase(2, 2)]
    [TestCase(3, 2)]
    [TestCase(4, 3)]
    [TestCase(15, 4)]
    [TestCase(16, 5)]
    [TestCase((1 << 20) - 1, 20)]
    [SemanticsRow(Row.ModuleMaxPart)]
    public void The_shift_is_the_bits_that_max_part_needs(int maxPart, int shift)
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxPart = maxPart, MaxAbuse = 1 });
        Assert.That(module.PartitionShift, Is.EqualTo(shift));
    }

    [TestCase(0, (1 << 20) + 1)]
    [TestCase(1, (1 << 19) + 1)]
    [TestCase(1 << 18, 3)]
    [TestCase((1 << 20) - 1, 2)]
    [SemanticsRow(Row.ModuleMaxPart)]
    public void More_devices_than_minors_are_left_for_is_EINVAL(int maxPart, int maxAbuse) =>
        AssertEinval(new AbuseModuleOptions { MaxPart = maxPart, MaxAbuse = maxAbuse });

    [Test]
    [SemanticsRow(Row.ModuleMaxPart)]
    public void As_many_devices_as_minors_are_left_for_are_made()
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxPart = 1 << 18, MaxAbuse = 2 });
        Assert.That(module.Devices, Has.Count.EqualTo(2));
    }

    [TestCase(1 << 20)]
    [TestCase(int.MaxValue)]
    [SemanticsRow(Row.ModuleMaxPart)]
    public void A_shift_over_20_is_EINVAL(int maxPart) => AssertEinval(new AbuseModuleOptions { MaxPart = maxPart });

    [TestCase(-1, 0)]
    [TestCase(0, -1)]
    [SemanticsRow(Row.ModuleMaxPart)]
    public void A_negative_parameter_is_EINVAL(int maxPart, int maxAbuse) =>
        AssertEinval(new AbuseModuleOptions { MaxPart = maxPart, MaxAbuse = maxAbuse });

    [Test]
    [SemanticsRow(Row.ModuleMaxPart)]
    public void A_device_s_first_minor_is_its_number_shifted_and_the_others_are_its_partitions()
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxPart = 5, MaxAbuse = 4 });
        Assert.That(module.TryOpenMinor(3 << 3, out AbuseDevice? whole, out int none), Is.True);
        Assert.That((whole!.Number, none), Is.EqualTo((3, 0)));
        Assert.That(module.TryOpenMinor((3 << 3) | 5, out AbuseDevice? part, out int partition), Is.True);
        Assert.That((part!.Number, partition), Is.EqualTo((3, 5)));
    }

    [Test]
    [SemanticsRow(Row.ModuleOnDemand)]
    [SemanticsRow(Row.D14)]
    public void A_device_that_is_made_on_demand_has_the_number_minor_shifted_and_not_the_minor()
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxPart = 15 });
        Assert.That(module.TryOpenMinor((20 << 4) | 2, out AbuseDevice? device, out int partition), Is.True);
        Assert.That((device!.Number, partition), Is.EqualTo((20, 2)));
        Assert.That(module.Devices.Select(static other => other.Number), Is.EqualTo(Enumerable.Range(0, 8).Append(20)));
    }

    [Test]
    [SemanticsRow(Row.ModuleOnDemand)]
    public void Of_many_threads_that_open_a_missing_device_one_makes_it()
    {
        using var module = new AbuseModule();
        var opened = new AbuseDevice[8];
        Parallel.For(0, opened.Length, index => opened[index] = module.Open(100));
        Assert.That(opened, Is.All.SameAs(opened[0]));
    }

    [TestCase(-1, 0)]
    [TestCase(1 << 20, 0)]
    [TestCase(1 << 16, 15)]
    [TestCase(int.MaxValue, 0)]
    [SemanticsRow(Row.ModuleMissing)]
    public void Opening_a_number_that_the_minors_do_not_hold_is_ENXIO(int number, int maxPart)
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxPart = maxPart });
        Assert.That(() => module.Open(number), ThrowsErrno(Errno.ENXIO));
        Assert.That(module.TryOpen(number, out _), Is.False);
    }

    [TestCase(-1)]
    [TestCase(1 << 20)]
    [SemanticsRow(Row.ModuleMissing)]
    public void Opening_a_minor_that_does_not_exist_is_ENXIO(int minor)
    {
        using var module = new AbuseModule(new AbuseModuleOptions { MaxPart = 15 });
        Assert.That(module.TryOpenMinor(minor, out _, out _), Is.False);
    }

    [Test]
    [SemanticsRow(Row.ModuleMissing)]
    public void Opening_a_missing_control_is_ENXIO_and_makes_nothing()
    {
        using var module = new AbuseModule();
        Assert.That(() => module.OpenControl(8), ThrowsErrno(Errno.ENXIO));
        Assert.That(module.Devices, Has.Count.EqualTo(8));
        module.Open(8);
        using AbuseControl control = module.OpenControl(8);
        Assert.That(control.Device.Number, Is.EqualTo(8));
    }

    [Test]
    [SemanticsRow(Row.ModuleUnload)]
    [SemanticsRow(Row.D13)]
    public void Unloading_fails_what_is_pending_with_EIO_and_ends_channels()
    {
        using RawRig rig = RawRig.Configured();
        AbuseControl control = rig.Control;
        using BioChannel channel = control.OpenChannel();
        SubmittedBio[] bios = [rig.Read(), rig.Write()];
        AbuseTransferHeader fetched = rig.Get();
        rig.Module.Dispose();
        Assert.That(bios.Select(static bio => bio.Result), Is.All.EqualTo(BioResult.Offline));
        Assert.That(channel.Reader.Completion.IsCompleted, Is.True);
        Assert.That(channel.Reader.TryRead(out _), Is.False);
        Assert.That(rig.Put(fetched), Is.EqualTo(Errno.ENODEV));
        Assert.That(rig.Read().Result, Is.EqualTo(BioResult.Offline));
        Assert.That(() => rig.Module.Open(0), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    [SemanticsRow(Row.ModuleUnload)]
    public void After_unloading_every_control_call_is_ENODEV()
    {
        using RawRig rig = RawRig.Configured();
        AbuseControl control = rig.Control;
        rig.Module.Dispose();
        var header = default(AbuseTransferHeader);
        Errno[] errors =
        [
            control.GetStatus(out _),
            control.SetStatus(RawRig.Info()),
            control.Reset(),
            control.GetBio(ref header),
            rig.Put(header),
            rig.Put(header, AbuseAnswer.DeviceFailure),
        ];
        Assert.That(errors, Is.All.EqualTo(Errno.ENODEV));
    }

    [Test]
    [SemanticsRow(Row.ModuleRotational)]
    public void A_device_of_the_module_is_not_rotational()
    {
        using RawRig rig = RawRig.Configured();
        Assert.That(rig.Device.Geometry!.IsRotational, Is.False);
    }

    private static void AssertEinval(AbuseModuleOptions options) =>
        Assert.That(() => new AbuseModule(options).Dispose(), ThrowsErrno(Errno.EINVAL));

    private static NUnit.Framework.Constraints.EqualConstraint<Errno> ThrowsErrno(Errno errno) =>
        Throws.TypeOf<AbuseException>().With.Property(nameof(AbuseException.Errno)).EqualTo(errno);
}
